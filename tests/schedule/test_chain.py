"""The interior-point method for chains: it comes to what a solver for any quadratic programme comes to, and holds all rows."""

from __future__ import annotations

import highspy
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from levada.domain.series import Floats
from levada.schedule.chain import Chain
from levada.schedule.linear import Builder, solver


def _drawn(seed: int, n: int, rows: int, size: int, bend: float) -> Chain:
    """A random chain, some of whose stages have fewer rows than others, down to one."""
    rng = np.random.default_rng(seed)
    a, c = rng.normal(size=(n, rows, 2 * size)), rng.normal(size=(n, rows))
    c[rng.permutation(n * rows).reshape(n, rows) < n * rows // 3] = np.inf
    c[:, 0] = rng.normal(size=n)
    spread = rng.normal(size=(size, size))
    return Chain(a, c, bend * (spread @ spread.T + 3.0 * np.eye(size)), bend)


def _bend(chain: Chain, d: Floats) -> float:
    return float(np.einsum("ki,ij,kj->", d, chain.own, d) - 2.0 * chain.beside * (d[:-1] * d[1:]).sum())


def _by_highs(chain: Chain) -> float:
    """The best by HiGHS's active-set method."""
    n, size = len(chain.c), len(chain.own)
    b = Builder()
    m = b.add_columns(-np.ones(n), -np.inf)
    d = b.add_columns(np.zeros((n + 1) * size), -np.inf).reshape(n + 1, size)
    for k in range(n):
        there = np.flatnonzero(np.isfinite(chain.c[k]))
        at = b.add_rows(np.full(len(there), -np.inf), chain.c[k, there])
        b.put(at, m[k], np.ones(len(there)))
        b.put(at[:, None], d[k : k + 2].reshape(1, -1), chain.a[k, there])
    whole = np.kron(np.eye(n + 1), chain.own) - chain.beside * (np.kron(np.eye(n + 1, k=1), np.eye(size)) + np.kron(np.eye(n + 1, k=-1), np.eye(size)))
    hessian = highspy.HighsHessian()
    hessian.dim_, hessian.format_ = n + whole.shape[0], highspy.HessianFormat.kTriangular
    lower = [np.arange(j, len(whole)) for j in range(len(whole))]
    hessian.start_ = np.concatenate([np.zeros(n), np.concatenate([[0], np.cumsum([len(i) for i in lower])])]).astype(np.int32)
    hessian.index_ = (n + np.concatenate(lower)).astype(np.int32)
    hessian.value_ = np.concatenate([whole[i, j] for j, i in enumerate(lower)])
    h = solver()
    h.passModel(b.model())
    h.passHessian(hessian)
    h.run()
    assume(h.getModelStatus() == highspy.HighsModelStatus.kOptimal)  # its active-set method gives up on one in some thousand
    return -float(h.getInfo().objective_function_value)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 5), rows=st.integers(1, 8), size=st.integers(1, 4), bend=st.sampled_from([0.05, 1.0, 20.0]))
def test_it_comes_to_what_highs_comes_to_and_holds_all_rows(seed: int, n: int, rows: int, size: int, bend: float) -> None:
    chain = _drawn(seed, n, rows, size, bend)
    m, d = chain.best(1e-6)
    over = m[:, None] + (chain.a @ np.concatenate([d[:-1], d[1:]], axis=1)[:, :, None])[:, :, 0] - chain.c
    assert over.max() <= 1e-9
    assert m.sum() - _bend(chain, d) / 2 == pytest.approx(_by_highs(chain), abs=1e-3, rel=1e-3)


def test_alone_a_row_is_left_for_as_much_as_bending_costs() -> None:
    # One stage, m + d_1 <= 0 and d_0 in no row: m - d_1^2 is most at m = 1/2.
    m, d = Chain(np.array([[[0.0, 1.0]]]), np.zeros((1, 1)), np.array([[2.0]]), 0.0).best(1e-8)
    assert m[0] == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(d[:, 0], [0.0, -0.5], atol=1e-3)


def test_what_is_beside_is_drawn_along() -> None:
    chain = Chain(np.array([[[0.0, 1.0]]]), np.zeros((1, 1)), np.array([[2.0]]), 0.9)
    d = chain.best(1e-8)[1]
    assert d[1, 0] < d[0, 0] < 0.0
    assert d[0, 0] == pytest.approx(0.45 * d[1, 0], rel=1e-2)
