package optim

import (
	"cmp"
	"math"

	"github.com/lockstep-go/lockstep/kernels"
)

// MuonOptions are the options of [NewMuon].
type MuonOptions struct {
	LR       float64 // the learning rate η; 0 stands for 0.001
	Momentum float64 // the momentum μ, below 1; 0 stands for 0.95
	Eps      float64 // the least norm that is divided by; 0 stands for 1e-7
	Steps    int     // of the Newton-Schulz iteration; 0 stands for 5

	AdamLR float64 // the learning rate of AdamW for the rest; 0 stands for 0.001

	Common // its Decay is 0.1 if it is 0, for all
}

func (o *MuonOptions) options() []option {
	lr, adam := cmp.Or(o.LR, 0.001), cmp.Or(o.AdamLR, 0.001)
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.001, below: unbounded},
		{name: "momentum", value: &o.Momentum, defaultValue: 0.95, below: 1},
		{name: "eps", value: &o.Eps, defaultValue: 1e-7, below: unbounded},
		{name: "steps", count: &o.Steps, defaultValue: 5},
		{name: "adamlr", value: &o.AdamLR, defaultValue: 0.001, below: unbounded},
	}, decayed(o.Common.options(max(lr, adam)), 0.1)...)
}

// NewMuon makes the rule that steps along the nearest orthogonal matrix to the momentum,
// for the hidden matrices of a layout; vectors and Outer tensors are stepped by
// [NewAdamW] with AdamLR and its other defaults. For a matrix of in rows and out columns:
//
//	m = m + (1-μ)·(g - m)
//	d = g + μ·(m - g)
//	X = d/max(‖d‖, ε), and Steps times X = a·X + (b·A + c·A²)·X, A = X·Xᵀ
//	p = (1 - η·λ)·p - η·√max(1, out/in)·X
//
// with a, b, c = 3.4445, -4.775, 2.0315, where the shorter side stands for the rows of X.
// All of it is in float32, by [kernels.Gemm]. SetLR changes both rates in proportion. It
// panics if the layout has no sense or an option is out of its range. Source: Jordan et
// al., Muon: an optimizer for hidden layers in neural networks, 2024, with the defaults
// of torch.optim.Muon, whose matrices are out×in and whose iteration is in bfloat16.
func NewMuon(layout []Tensor, o MuonOptions) *Rule {
	n := size("NewMuon", layout)
	prepare("NewMuon", n, o.options())
	var rest, most, side int // elements of AdamW's, of the largest matrix, of the longest shorter side
	for _, t := range layout {
		if t.orthogonal() {
			most, side = max(most, t.Rows*t.Cols), max(side, min(t.Rows, t.Cols))
		} else {
			rest += t.Rows * t.Cols
		}
	}
	m, v := kernels.Make(n), kernels.Make(rest)
	x, y := kernels.Make(most), kernels.Make(most)
	a, b := kernels.Make(side*side), kernels.Make(side*side)
	adam := TorchAdamOptions{}
	prepare("NewMuon", n, adam.options())
	r := &Rule{name: "muon", n: n, lr: o.LR, common: o.Common, shrink: o.Decay * (o.AdamLR / o.LR), state: []vector{{"m", m}, {"v", v}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		coef := kernels.MuonCoef{Momentum: float32(o.Momentum), OneMinusMomentum: float32(1 - o.Momentum), Grad: grad}
		coef.Grad.Keep = 0 // it comes with the step
		adamLR := r.lr * (o.AdamLR / o.LR)
		adamCoef := adam.coef(adamLR, t, grad)
		adamCoef.Grad.Keep = float32(1 - float64(adamLR*o.Common.Decay))
		v := v
		eachTensor(layout, func(tensor Tensor, lo, hi int) {
			p, g := params[lo:hi], grads[lo:hi]
			if !tensor.orthogonal() {
				kernels.AdamW(p, m[lo:hi], v[:hi-lo], g, adamCoef, limit...)
				v = v[hi-lo:]
				return
			}
			x := x[:hi-lo]
			kernels.Muon(p, m[lo:hi], x, g, coef, limit...)
			orthogonalize(x, y[:hi-lo], a, b, tensor, o.Steps, o.Eps, limit)
			lr := r.lr * math.Sqrt(max(1, float64(tensor.Cols)/float64(tensor.Rows)))
			kernels.SGD(p, x, kernels.SGDCoef{LR: float32(lr), Grad: kernels.GradCoef{Keep: grad.Keep}}, limit...)
		})
	}
	return r
}

// orthogonal tells whether Muon orthogonalizes the steps of a tensor.
func (t Tensor) orthogonal() bool { return t.Rows > 1 && t.Cols > 1 && !t.Outer }

// orthogonalize replaces the singular values of the matrix x by numbers near 1; see
// NewMuon. y, as long as x, and a and b, at least the square of the shorter side, are
// scratch.
func orthogonalize(x, y, a, b []float32, t Tensor, steps int, eps float64, limit []kernels.Threads) {
	const c1, c2, c3 = 3.4445, -4.775, 2.0315
	scale := float32(1 / max(norm(x, limit), eps))
	for i := range x {
		x[i] *= scale
	}
	rows, cols := t.Rows, t.Cols
	s := min(rows, cols)
	a, b = a[:s*s], b[:s*s]
	for range steps {
		if rows <= cols {
			kernels.Gemm(kernels.NoTrans, kernels.Trans, s, s, cols, 1, x, cols, x, cols, 0, a, s, limit...)
		} else {
			kernels.Gemm(kernels.Trans, kernels.NoTrans, s, s, rows, 1, x, cols, x, cols, 0, a, s, limit...)
		}
		copy(b, a)
		kernels.Gemm(kernels.NoTrans, kernels.NoTrans, s, s, s, c3, a, s, a, s, c2, b, s, limit...)
		copy(y, x)
		if rows <= cols {
			kernels.Gemm(kernels.NoTrans, kernels.NoTrans, s, cols, s, 1, b, s, y, cols, c1, x, cols, limit...)
		} else {
			kernels.Gemm(kernels.NoTrans, kernels.NoTrans, rows, s, s, 1, y, cols, b, s, c1, x, cols, limit...)
		}
	}
}
