package optim

import (
	"cmp"
	"math"

	"github.com/lockstep-go/lockstep/internal/det"
	"github.com/lockstep-go/lockstep/kernels"
)

// AdafactorOptions are the options of [NewAdafactor].
type AdafactorOptions struct {
	LR        float64 // the greatest relative step η; 0 stands for 0.01
	DecayRate float64 // how the means lengthen: step t has β2 = 1 - t^-DecayRate; 0 stands for 0.8
	Eps1      float64 // the least mean square, ε1²; 0 stands for 2^-23
	Eps2      float64 // the least size of a tensor that steps go by; 0 stands for 0.001
	Clip      float64 // the greatest root mean square of an update; 0 stands for 1

	Common
}

func (o *AdafactorOptions) options() []option {
	return append([]option{
		{name: "lr", value: &o.LR, defaultValue: 0.01, below: unbounded},
		{name: "decayrate", value: &o.DecayRate, defaultValue: 0.8, below: unbounded},
		{name: "eps1", value: &o.Eps1, defaultValue: 0x1p-23, below: unbounded},
		{name: "eps2", value: &o.Eps2, defaultValue: 0.001, below: unbounded},
		{name: "clip", value: &o.Clip, defaultValue: 1, below: unbounded},
	}, o.Common.options(cmp.Or(o.LR, 0.01))...)
}

// NewAdafactor makes the rule that keeps, of the mean squares of a matrix, the means of
// the rows and of the columns alone, r and c; at step t = 1, 2, …
//
//	ρ = min(η, 1/√t), w = t^-DecayRate
//	r = r + w·(mean of g² over the row - r), and c likewise
//	u = g/√max(r·c/max(mean of r, ε1), ε1²)
//	p = p - ρ·max(ε2, rms(p))/max(1, rms(u)/Clip)·u
//
// and for a vector v = v + w·(g² - v), u = g/√max(v, ε1²). The means are sums in float64.
// It panics if the layout has no sense or an option is out of its range. Source: Shazeer
// and Stern, Adafactor: adaptive learning rates with sublinear memory cost, 2018,
// algorithms 4 and 5, with the ε, the bound of the step and the defaults of
// torch.optim.Adafactor, whose weight_decay is Decay.
func NewAdafactor(layout []Tensor, o AdafactorOptions) *Rule {
	n := size("NewAdafactor", layout)
	prepare("NewAdafactor", n, o.options())
	var kept, widest int
	for _, t := range layout {
		switch {
		case t.Rows == 1:
			kept += t.Cols
		case t.Cols > 0:
			kept += t.Rows + t.Cols
		}
		widest = max(widest, t.Cols)
	}
	squares, update, sums := kernels.Make(kept), kernels.Make(largest(layout)), make([]float64, widest)
	r := &Rule{name: "adafactor", n: n, lr: o.LR, common: o.Common, state: []vector{{"squares", squares}}}
	r.update = func(t float64, params, grads []float32, grad kernels.GradCoef, limit []kernels.Threads) {
		w, floor := det.Pow(t, -o.DecayRate), float32(o.Eps1*o.Eps1)
		adjust := grad
		adjust.Keep = 0 // it comes with the step
		squares := squares
		eachTensor(layout, func(tensor Tensor, lo, hi int) {
			p, u := params[lo:hi], update[:hi-lo]
			kernels.Adjust(p, u, grads[lo:hi], adjust, limit...)
			rows, cols := tensor.Rows, tensor.Cols
			if rows == 1 {
				v := squares[:cols]
				squares = squares[cols:]
				for i, g := range u {
					v[i] += float32(float32(w) * (float32(g*g) - v[i]))
				}
				kernels.Factored(u, u, v, 1, floor, limit...)
			} else {
				mean := factor(squares[:rows], squares[rows:][:cols], sums[:cols], u, float32(w), limit)
				scale := float32(1 / max(mean, o.Eps1))
				for i, x := range squares[:rows] {
					row := u[i*cols:][:cols]
					kernels.Factored(row, row, squares[rows:][:cols], x*scale, floor, limit...)
				}
				squares = squares[rows+cols:]
			}
			size := math.Sqrt(float64(len(p)))
			alpha := max(o.Eps2, norm(p, limit)/size) * min(r.lr, 1/math.Sqrt(t))
			alpha /= max(1, norm(u, limit)/(size*o.Clip))
			kernels.SGD(p, u, kernels.SGDCoef{LR: float32(alpha), Grad: kernels.GradCoef{Keep: grad.Keep}}, limit...)
		})
	}
	return r
}

// factor moves the means of a matrix's squares over each row and each column on by w,
// and returns the mean of the former. sums is scratch.
func factor(rows, cols []float32, sums []float64, g []float32, w float32, limit []kernels.Threads) float64 {
	clear(sums)
	var total float64
	for i := range rows {
		row := g[i*len(cols):][:len(cols)]
		mean := kernels.SumSquares(row, limit...) / float64(len(cols))
		rows[i] += float32(w * (float32(mean) - rows[i]))
		total += float64(rows[i])
		kernels.AddSquares(sums, row, limit...)
	}
	for j, sum := range sums {
		cols[j] += float32(w * (float32(sum/float64(len(rows))) - cols[j]))
	}
	return total / float64(len(rows))
}
