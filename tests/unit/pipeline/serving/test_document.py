"""The OpenAPI document, with the bounds of the stack that is served."""

from pipeline.serving.app import application
from pipeline.serving.sources import WeightsFile
from pipeline.serving.switching import Switch
from tests.stacks import write_stack


def test_bounds_are_the_stack_s(tmp_path):
    path = write_stack(tmp_path / "three.safetensors", z_dims=(2, 3, 5))
    told = application(Switch(WeightsFile(path))).openapi()
    fields = told["components"]["schemas"]["Samples"]["properties"]
    numbers, names = fields["label"]["anyOf"]
    assert (numbers["minimum"], numbers["maximum"]) == (0, 9)
    assert names["enum"] == list("0123456789")
    sizes = {i: v["anyOf"][0]["minItems"] for i, v in fields["z"]["properties"].items()}
    assert sizes == {"0": 2, "1": 3, "2": 5}
    assert "ValidationError" not in told["components"]["schemas"]


def test_what_a_model_drew_or_measured_says_which_one_it_was(tmp_path):
    path = write_stack(tmp_path / "one.safetensors", z_dims=(2,))
    told = application(Switch(WeightsFile(path))).openapi()["paths"]
    for name, method in (("samples", "post"), ("nearest", "post"), ("directions", "get")):
        answer = told[f"/v1/{name}"][method]["responses"]["200"]
        assert "X-Model-Version" in answer["headers"]
        assert answer["description"] and answer["content"]


def test_every_answer_of_a_mistake_is_a_sentence(tmp_path):
    path = write_stack(tmp_path / "one.safetensors", z_dims=(2,))
    told = application(Switch(WeightsFile(path))).openapi()
    for methods in told["paths"].values():
        for operation in methods.values():
            schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert schema["required"] == ["error"]
