"""The sum of a step's terms, and which of them is named where it is not finite."""

import pytest
import torch

from sgan.training.terms import NonFiniteLoss, require_finite, total_loss


def test_the_total_is_summed_over_levels_and_must_be_finite() -> None:
    terms = {
        "level0/loss_d_adv": torch.tensor(100.0),
        "level0/loss_d": torch.tensor(1.5),
        "level1/loss_q": torch.tensor(float("nan")),
        "level1/loss_d": torch.tensor(2.0),
    }
    assert total_loss(terms, "loss_d").item() == 3.5
    require_finite(terms, "loss_d")
    terms["level1/loss_d"] = torch.tensor(float("nan"))
    with pytest.raises(NonFiniteLoss, match="level1/loss_q is nan") as caught:
        require_finite(terms, "loss_d")
    assert caught.value.part == "level1/loss_q"


def test_a_sum_that_overflows_is_named_too() -> None:
    terms = {f"level{i}/loss_d": torch.tensor(3e38) for i in (0, 1)}
    with pytest.raises(NonFiniteLoss, match=r"^loss_d is inf"):
        require_finite(terms, "loss_d")


def test_the_gradient_of_the_total_reaches_every_level() -> None:
    terms = {f"level{i}/loss_g": torch.tensor(float(i), requires_grad=True) for i in (0, 1)}
    total_loss(terms, "loss_g").backward()
    assert [term.grad.item() for term in terms.values()] == [1.0, 1.0]


def test_one_term_among_others_of_similar_names() -> None:
    """`loss_d` is not the end of `level0/loss_d_adv`, nor `x_loss_d` a `loss_d`."""
    values = {"level0/loss_d": 1.0, "level0/loss_d_adv": 10.0, "level0/x_loss_d": 100.0}
    terms = {key: torch.tensor(value) for key, value in values.items()}
    assert total_loss(terms, "loss_d").item() == 1.0
