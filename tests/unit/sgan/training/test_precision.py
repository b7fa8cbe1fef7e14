"""Which number format a step runs in."""

import pytest
import torch

from sgan.training import precision

CPU = torch.device("cpu")


def test_names_resolve_to_dtypes() -> None:
    assert precision.resolve("float32", CPU) == torch.float32
    assert precision.resolve("bfloat16", CPU) == torch.bfloat16


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_follows_the_hardware(native, expected, monkeypatch) -> None:
    monkeypatch.setattr(precision, "_has_native_bfloat16", lambda device: native)
    assert precision.resolve("auto", CPU) == expected


@pytest.mark.parametrize(
    ("capability", "instructions", "onednn", "native"),
    [
        ("AVX512", {"_is_avx512_bf16_supported"}, True, True),
        ("AVX512", {"_is_amx_tile_supported"}, True, True),
        ("AVX512", set(), True, False),  # Skylake, Cascade Lake: emulated
        ("AVX512", {"_is_avx512_bf16_supported"}, False, False),  # ONEDNN_MAX_CPU_ISA forbids it
        ("AVX2", {"_is_avx512_bf16_supported"}, True, False),  # ATEN_CPU_CAPABILITY does
        ("SVE256", {"_is_avx512_bf16_supported"}, True, False),
    ],
)
def test_a_cpu_has_it_where_its_instructions_multiply_it(
    capability, instructions, onednn, native, monkeypatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda has=probe in instructions: has)
    expected = torch.bfloat16 if native else torch.float32
    assert precision.resolve("auto", CPU) == expected


def test_autocast_runs_matrix_products_in_the_dtype() -> None:
    a = torch.rand(4, 4)
    with precision.autocast(torch.bfloat16, CPU):
        assert (a @ a).dtype == torch.bfloat16
    with precision.autocast(torch.float32, CPU):
        assert (a @ a).dtype == torch.float32
