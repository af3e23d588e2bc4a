//! The parts of NVIDIA's toolkit that a build for a GPU needs, pinned. Source: `PyPI`'s lists of
//! the packages' files for Linux on x86-64.

/// The edition; all files of an edition belong together.
pub(super) const EDITION: &str = "CUDA 13.0, cuDNN 9.28";

/// The server of `PyPI`'s files. `STACKGAN_PYPI` names a mirror of it.
pub(super) const PYPI: &str = "https://files.pythonhosted.org";

/// A package on `PyPI`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wheel {
    /// Its name.
    pub(super) package: &'static str,
    /// Its version.
    pub(super) version: &'static str,
    /// Its purpose.
    pub(super) what: &'static str,
    /// The platform tag, the end of the file name.
    tag: &'static str,
    /// The folder of its file below `packages/`.
    folder: &'static str,
    /// The file's length in bytes.
    pub(super) size: u64,
    /// The file's SHA-256.
    pub(super) sha256: &'static str,
}

impl Wheel {
    /// The name of its file.
    pub(super) fn file(&self) -> String {
        let Self { version, tag, .. } = self;
        format!("{}-{version}-py3-none-{tag}.whl", self.package.replace('-', "_"))
    }

    /// The address of its file below `base`.
    pub(super) fn address(&self, base: &str) -> String {
        format!("{}/packages/{}/{}", base.trim_end_matches('/'), self.folder, self.file())
    }

    /// Its web page.
    pub(super) fn page(&self) -> String {
        format!("https://pypi.org/project/{}/{}/#files", self.package, self.version)
    }
}

const LINUX_2010: &str = "manylinux2010_x86_64.manylinux_2_12_x86_64";
const LINUX_2014: &str = "manylinux2014_x86_64.manylinux_2_17_x86_64";
const LINUX_2_27: &str = "manylinux_2_27_x86_64";

/// All wheels.
pub(super) const WHEELS: [Wheel; 9] = [
    Wheel {
        package: "nvidia-cuda-nvcc",
        version: "13.0.88",
        what: "the compiler",
        tag: LINUX_2014,
        folder: "71/8b/a546c12881fffeba927d810598987df25d74b8b241788c7db8dfc93b0173",
        size: 37_384_532,
        sha256: "56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03",
    },
    Wheel {
        package: "nvidia-cuda-crt",
        version: "13.0.88",
        what: "the compiler's own headers",
        tag: LINUX_2014,
        folder: "05/69/a1ec4d9f0747d85964206feb47bf359f48a2d6af74c0add8abba6efe3dda",
        size: 134_086,
        sha256: "2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4",
    },
    Wheel {
        package: "nvidia-nvvm",
        version: "13.0.88",
        what: "the compiler's back end",
        tag: LINUX_2010,
        folder: "15/b0/ee41e6d1108d959b5097163e7190c2d0f7857dea75606ce358f0275891b4",
        size: 61_601_415,
        sha256: "c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0",
    },
    Wheel {
        package: "nvidia-cuda-cccl",
        version: "13.0.85",
        what: "headers of CUDA's C++",
        tag: LINUX_2014,
        folder: "ab/fb/0384bb2129bed6b1b39f8e44471c615ab5ab29b7e55817538a1d390d8f84",
        size: 3_120_526,
        sha256: "e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649",
    },
    Wheel {
        package: "nvidia-cuda-runtime",
        version: "13.0.96",
        what: "the runtime and its headers",
        tag: LINUX_2014,
        folder: "2e/24/d1558f3b68b1d26e706813b1d10aa1d785e4698c425af8db8edc3dced472",
        size: 2_243_632,
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    },
    Wheel {
        package: "nvidia-cuda-nvrtc",
        version: "13.0.88",
        what: "the compiler as a library",
        tag: LINUX_2010,
        folder: "c3/68/483a78f5e8f31b08fb1bb671559968c0ca3a065ac7acabfc7cee55214fd6",
        size: 90_215_200,
        sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
    },
    Wheel {
        package: "nvidia-curand",
        version: "10.4.5.25",
        what: "random numbers, which candle links with",
        tag: LINUX_2_27,
        folder: "12/63/636e5dc9afb2959bfc0042a357d5567358df829b66c96d9fc36d77dc0596",
        size: 77_113_015,
        sha256: "22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529",
    },
    Wheel {
        package: "nvidia-cublas",
        version: "13.0.2.14",
        what: "matrix products",
        tag: LINUX_2_27,
        folder: "28/d4/30e630055d8e0f7058cc0d39e562c965d692f4735537d3f02f45d579a280",
        size: 420_882_912,
        sha256: "0cf238ffdbe46c00cb9aa98e7bca745c223a5ca5a53e686ac8b3e5a08fe80d6c",
    },
    Wheel {
        package: "nvidia-cudnn-cu13",
        version: "9.28.1.4",
        what: "convolutions",
        tag: LINUX_2_27,
        folder: "ef/6f/94535c450d44a68ef0b43d7a5e54c0e5ecda2ca3db7daec5d54c8d94e0d8",
        size: 516_817_937,
        sha256: "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_is_pinned() {
        for wheel in WHEELS {
            let digits = |text: &str| text.bytes().all(|b| b"0123456789abcdef".contains(&b));
            assert!(wheel.sha256.len() == 64 && digits(wheel.sha256), "{}", wheel.package);
            let parts: Vec<&str> = wheel.folder.split('/').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 2, 60]);
            assert!(parts.into_iter().all(digits), "{}", wheel.package);
            assert!(wheel.size > 0 && wheel.file().ends_with("_x86_64.whl"));
        }
        assert_eq!(
            WHEELS[1].address("https://mirror/"),
            "https://mirror/packages/05/69/a1ec4d9f0747d85964206feb47bf359f48a2d6af74c0add8abba6efe3dda/\
             nvidia_cuda_crt-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
        );
    }
}
