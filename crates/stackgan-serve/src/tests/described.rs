//! What `openapi.json` says of the models is what comes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stackgan_core::generator_noise::LARGEST_SCALE;

use super::{files, limits, start};

/// Names that a schema has, which are all required.
fn described(schema: &Value) -> BTreeSet<String> {
    let names: BTreeSet<String> =
        schema["properties"].as_object().unwrap().keys().cloned().collect();
    let required = schema["required"].as_array().unwrap().iter();
    assert_eq!(
        required.map(|name| name.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(),
        names
    );
    names
}

fn told(answer: &Value) -> BTreeSet<String> {
    answer.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn models_have_the_noise_of_each_stage() {
    let server = start(limits(), |wanted| files(wanted, 0));
    let answer = server.get("/v1/models").json();
    let model = &answer["data"][0];
    assert_eq!(
        model["scales"],
        json!([
            { "stage": 1, "z_scale": 0.5, "eps_scale": 3.5 },
            { "stage": 2, "z_scale": 1.0, "eps_scale": 1.0 },
        ])
    );
    assert_eq!((&model["z_scale"], &model["eps_scale"]), (&json!(1.0), &json!(1.0)));
    assert_eq!(answer["limits"]["scale"], json!(LARGEST_SCALE));

    let description = server.get("/openapi.json").json();
    let schemas = &description["components"]["schemas"];
    let models = &schemas["Models"]["properties"];
    let of_model = &models["data"]["items"];
    assert_eq!(described(of_model), told(model));
    let of_scales = &of_model["properties"]["scales"]["items"];
    assert_eq!(described(of_scales), told(&model["scales"][0]));
    assert_eq!(described(&models["limits"]), told(&answer["limits"]));
    for name in ["z_scale", "eps_scale"] {
        let most = &schemas["Generate"]["properties"][name]["maximum"];
        assert_eq!(most.as_f64(), Some(LARGEST_SCALE), "{name}");
    }
}
