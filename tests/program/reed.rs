//! A text encoder's checkpoint as Lua Torch saves one: nested nngraph modules with every step of
//! the recurrence, shared tensors, cycles, functions and unused values.
//!
//! Source: torch/torch7 `File.lua`; `martinduartemore/char_cnn_rnn_pytorch` (the positions of the
//! weights).

use std::collections::BTreeMap;

use candle_core::Tensor;

/// The recurrence, which also determines the number of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gru,
    Rnn,
}

/// Writes objects; each new table or object gets the next index.
struct Writer<'a> {
    bytes: Vec<u8>,
    index: i32,
    weights: &'a BTreeMap<String, Tensor>,
    /// Index of the storage of each tensor, which the steps share.
    storages: BTreeMap<String, i32>,
    /// `Float`, or `Cuda` of tensors that lay on a GPU.
    element: &'static str,
}

/// Returns the whole file: `{protos = {enc_image, enc_doc}, opt = {…}}`.
pub(crate) fn checkpoint(weights: &BTreeMap<String, Tensor>, kind: Kind) -> Vec<u8> {
    let mut w = Writer::new(weights, "Float");
    w.table(3);
    w.string("iter");
    w.number(30_000.0);
    w.string("opt");
    w.table(1);
    w.string("doc_length");
    w.number(201.0);
    w.string("protos");
    w.table(2);
    w.string("enc_image");
    w.module("nn.Sequential", 0);
    w.string("enc_doc");
    w.network(kind);
    w.bytes
}

/// Returns COCO's `net_T`: the network on its own.
pub(crate) fn alone(weights: &BTreeMap<String, Tensor>, kind: Kind) -> Vec<u8> {
    let mut w = Writer::new(weights, "Float");
    w.network(kind);
    w.bytes
}

/// The releases' captions with their embeddings: `{raw_txt = {…}, fea_txt = {…}}`.
pub(crate) fn captions(captions: &[String], rows: &[Vec<f32>]) -> Vec<u8> {
    let weights = BTreeMap::new();
    let mut w = Writer::new(&weights, "Cuda");
    w.table(2);
    w.string("fea_txt");
    w.table(rows.len() as i32);
    for (i, row) in rows.iter().enumerate() {
        w.place(i + 1);
        w.tensor(&format!("row {i}"), &[1, row.len()], || row.clone());
    }
    w.string("raw_txt");
    w.table(captions.len() as i32);
    for (i, caption) in captions.iter().enumerate() {
        w.place(i + 1);
        w.string(caption);
    }
    w.bytes
}

impl<'a> Writer<'a> {
    fn new(weights: &'a BTreeMap<String, Tensor>, element: &'static str) -> Self {
        Self { bytes: Vec::new(), index: 0, weights, storages: BTreeMap::new(), element }
    }
}

impl Writer<'_> {
    fn int(&mut self, value: i32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn long(&mut self, value: usize) {
        self.bytes.extend((value as i64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.int(text.len() as i32);
        self.bytes.extend(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        self.int(2);
        self.text(text);
    }

    fn number(&mut self, value: f64) {
        self.int(1);
        self.bytes.extend(value.to_le_bytes());
    }

    fn next(&mut self) -> i32 {
        self.index += 1;
        self.index
    }

    /// Writes the head of a table of `pairs` pairs.
    fn table(&mut self, pairs: i32) {
        self.int(3);
        let index = self.next();
        self.int(index);
        self.int(pairs);
    }

    /// Writes the head of an object; its payload follows.
    fn object(&mut self, class: &str) -> i32 {
        self.int(4);
        let index = self.next();
        self.int(index);
        self.text("V 1");
        self.text(class);
        index
    }

    /// Writes a module with a flag, an empty tensor and a function; `more` pairs must follow.
    fn module(&mut self, class: &str, more: i32) -> i32 {
        let index = self.object(class);
        self.table(3 + more);
        self.string("train");
        self.int(5);
        self.int(0);
        self.string("gradInput");
        self.object("torch.FloatTensor");
        self.int(0); // no dimensions
        self.long(1);
        self.int(0); // no storage
        self.string("accUpdateGradParameters");
        self.int(8);
        let function = self.next();
        self.int(function);
        self.text("\u{1b}LJ");
        self.table(0);
        index
    }

    /// Writes a module without weights.
    fn plain(&mut self, class: &str) {
        self.module(class, 0);
    }

    /// Writes the head of a list of modules; each one follows its `place`, counted from 1.
    fn modules(&mut self, count: i32) {
        self.string("modules");
        self.table(count);
    }

    fn place(&mut self, place: usize) {
        self.number(place as f64);
    }

    fn tensor(&mut self, name: &str, shape: &[usize], values: impl Fn() -> Vec<f32>) {
        self.object(&format!("torch.{}Tensor", self.element));
        self.int(shape.len() as i32);
        shape.iter().for_each(|&extent| self.long(extent));
        for i in 0..shape.len() {
            self.long(shape[i + 1..].iter().product());
        }
        self.long(1);
        if let Some(&index) = self.storages.get(name) {
            self.int(4);
            self.int(index);
            return;
        }
        let values = values();
        let index = self.object(&format!("torch.{}Storage", self.element));
        self.storages.insert(name.to_owned(), index);
        self.long(values.len());
        values.iter().for_each(|v| self.bytes.extend(v.to_le_bytes()));
    }

    /// Writes a layer with `weight` and `bias`. A temporal convolution stores `(out, 4 in)`, with
    /// the position in the kernel as the outer index.
    fn layer(&mut self, class: &str, name: &str) {
        let weight = &self.weights[&format!("{name}.weight")];
        let weight = match weight.dims() {
            &[out, inputs, kernel] => weight
                .transpose(1, 2)
                .unwrap()
                .contiguous()
                .unwrap()
                .reshape((out, inputs * kernel))
                .unwrap(),
            _ => weight.clone(),
        };
        let bias = self.weights[&format!("{name}.bias")].clone();
        self.module(class, 2);
        for (part, tensor) in [("weight", weight), ("bias", bias)] {
            self.string(part);
            let values = || tensor.flatten_all().unwrap().to_vec1().unwrap();
            self.tensor(&format!("{name}.{part}"), tensor.dims(), values);
        }
    }

    /// Writes an `nn.Sequential` with one `nn.Linear`.
    fn linear(&mut self, name: &str) {
        self.module("nn.Sequential", 1);
        self.modules(1);
        self.place(1);
        self.layer("nn.Linear", name);
    }

    fn network(&mut self, kind: Kind) {
        let net = self.module("nn.gModule", 2);
        self.modules(6);
        self.place(1);
        self.plain("nn.Identity");
        self.place(2);
        self.convolutions(kind);
        self.place(3);
        self.plain("nn.SplitTable");
        self.place(4);
        match kind {
            Kind::Gru => self.gru(),
            Kind::Rnn => self.rnn(),
        }
        self.place(5);
        self.plain("nn.Dropout");
        self.place(6);
        self.layer("nn.Linear", "emb_proj");
        // The graph refers to the network that contains it.
        self.string("fg");
        self.object("graph.Graph");
        self.table(1);
        self.string("net");
        self.int(4);
        self.int(net);
    }

    fn convolutions(&mut self, kind: Kind) {
        let pools = if kind == Kind::Rnn { 9 } else { 8 };
        self.module("nn.Sequential", 1);
        self.modules(pools);
        for place in 0..pools as usize {
            self.place(place + 1);
            match place {
                0 | 3 | 6 => {
                    self.layer("nn.TemporalConvolution", &format!("conv{}", place / 3 + 1));
                }
                1 | 4 | 7 => self.plain("nn.Threshold"),
                _ => self.plain("nn.TemporalMaxPooling"),
            }
        }
    }

    /// Writes modules in the order in which nngraph visits them: five for each step after the
    /// first.
    fn rnn(&mut self) {
        let mut modules = vec!["nn.Identity", "rnn.i2h", "nn.ReLU"];
        for _ in 1..8 {
            modules.extend(["nn.Identity", "rnn.i2h", "rnn.h2h", "nn.CAddTable", "nn.ReLU"]);
        }
        modules.push("nn.MulConstant");
        self.recurrence(&modules);
    }

    fn gru(&mut self) {
        let mut modules = vec!["nn.Identity", "rnn.i2h", "nn.Tanh"];
        for _ in 1..18 {
            modules.extend([
                "nn.Identity",
                "rnn.i2h_update",
                "rnn.h2h_update",
                "nn.CAddTable",
                "nn.Sigmoid",
            ]);
            modules.extend([
                "rnn.i2h",
                "rnn.i2h_reset",
                "rnn.h2h_reset",
                "nn.CAddTable",
                "nn.Sigmoid",
            ]);
            modules.extend(["nn.CMulTable", "rnn.h2h", "nn.CAddTable", "nn.Tanh", "nn.CMulTable"]);
            modules.extend(["nn.MulConstant", "nn.AddConstant", "nn.CMulTable", "nn.CAddTable"]);
        }
        modules.push("nn.MulConstant");
        self.recurrence(&modules);
    }

    fn recurrence(&mut self, modules: &[&str]) {
        self.module("nn.gModule", 1);
        self.modules(modules.len() as i32);
        for (i, module) in modules.iter().enumerate() {
            self.place(i + 1);
            match module.starts_with("nn.") {
                true => self.plain(module),
                false => self.linear(module),
            }
        }
    }
}
