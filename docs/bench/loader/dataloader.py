"""The peer of our loader: a PyTorch DataLoader with Pillow that makes the same crops from the same JPEGs, as the PyTorch
release's `datasets.py` does.

    python dataloader.py FOLDER_OF_CUB 76|304 SAMPLES [WORKERS]

Each sample: JPEG decoded to RGB, cropped around the bird, resized bilinear to 76 or 304, a random crop of 64 or 256, mirrored
with probability one half, floats in [-1, 1]; with one of ten embeddings of 1,024 numbers. Batches of 64, the training split in
random order. The workers are started and the first two batches taken before the clock starts. Prints samples a second.
"""

import pickle
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Birds(Dataset):
    def __init__(self, folder, side):
        cub = folder / "CUB_200_2011"
        names = [line.split()[1] for line in open(cub / "images.txt")]
        boxes = [[int(float(word)) for word in line.split()[1:]] for line in open(cub / "bounding_boxes.txt")]
        self.boxes = {name[:-4]: box for name, box in zip(names, boxes)}
        with open(folder / "train" / "filenames.pickle", "rb") as file:
            self.keys = pickle.load(file)
        self.images = cub / "images"
        self.side = side
        self.crop = side * 64 // 76
        self.embeddings = np.zeros((len(self.keys), 10, 1024), dtype=np.float32)
        self.as_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, index):
        key = self.keys[index]
        image = Image.open(self.images / (key + ".jpg")).convert("RGB")
        x, y, w, h = self.boxes[key]
        cx, cy, r = (2 * x + w) // 2, (2 * y + h) // 2, int(max(w, h) * 0.75)
        width, height = image.size
        image = image.crop((max(0, cx - r), max(0, cy - r), min(width, cx + r), min(height, cy + r)))
        image = image.resize((self.side, self.side), Image.BILINEAR)
        left, top = random.randint(0, self.side - self.crop), random.randint(0, self.side - self.crop)
        image = image.crop((left, top, left + self.crop, top + self.crop))
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        return self.as_tensor(image), self.embeddings[index, random.randint(0, 9)]


def main():
    folder, side, samples = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    workers = int(sys.argv[4]) if len(sys.argv) > 4 else 2
    torch.set_num_threads(1)
    loader = DataLoader(
        Birds(folder, side), batch_size=64, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=True
    )

    def batches():
        while True:
            yield from loader

    endless = batches()
    for _ in range(2):
        next(endless)
    started, taken = time.perf_counter(), 0
    while taken < samples:
        images, _ = next(endless)
        taken += len(images)
    print(f"{taken / (time.perf_counter() - started):.0f}")


if __name__ == "__main__":
    main()
