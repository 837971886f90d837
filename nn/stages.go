package nn

import (
	"github.com/lockstep-go/lockstep/internal/philox"
	"github.com/lockstep-go/lockstep/kernels"
)

// stage does a layer, or an affine one together with the activation behind it.
type stage interface {
	// outputs is the width of the result.
	outputs() int

	// infer sets y to the outputs for x as a prediction has them. It changes nothing of
	// the stage's own, so many goroutines may call it; scratch is the caller's.
	infer(y, x []float32, rows int, scratch *[]float32, limit []kernels.Threads)

	// forward returns the outputs for x in training, in memory of the stage's own, and
	// keeps what backward needs.
	forward(x []float32, rows int, p *pass, limit []kernels.Threads) []float32

	// activation is what the stage ends with, and what its derivative is computed
	// from. Whoever computes the gradient with respect to the outputs multiplies by
	// that derivative; backward gets the product.
	activation() (kernels.Activation, []float32)

	// backward sets the gradients of the parameters, and dx, unless that is nil, to the
	// gradient with respect to x, times the derivative of the activation that x comes
	// from.
	backward(dx, dy, x []float32, rows int, from stage, p *pass, limit []kernels.Threads)
}

// pass says which pass through the network is under way.
type pass struct {
	seed       uint64 // of the dropouts
	step       uint32
	row        int  // which row of the whole batch the first one is
	accumulate bool // backward adds to the gradients of the parameters
}

// derive multiplies dx by the derivative of the activation that from ends with.
func derive(dx []float32, from stage, limit []kernels.Threads) {
	if act, of := from.activation(); act != kernels.Identity {
		kernels.Derive(act, dx, dx, of, limit...)
	}
}

// affine is y = act(x·W + b).
type affine struct {
	in, out      int
	act          kernels.Activation
	w, b, dw, db []float32 // parts of the flat vectors
	y            []float32 // rows×out: of the last forward, as z
	z            []float32 // x·W + b, where the derivative is computed from it
}

func (s *affine) outputs() int { return s.out }

func (s *affine) product(y, x []float32, rows int, act kernels.Activation, limit []kernels.Threads) {
	kernels.GemmFused(kernels.NoTrans, kernels.NoTrans, rows, s.out, s.in, 1, x, s.in, s.w, s.out, 0, y, s.out,
		kernels.Epilogue{Bias: s.b, Act: act}, limit...)
}

func (s *affine) infer(y, x []float32, rows int, _ *[]float32, limit []kernels.Threads) {
	s.product(y, x, rows, s.act, limit)
}

func (s *affine) forward(x []float32, rows int, _ *pass, limit []kernels.Threads) []float32 {
	s.y = resize(s.y, rows*s.out)
	if s.act.FromInput() {
		s.z = resize(s.z, rows*s.out)
		s.product(s.z, x, rows, kernels.Identity, limit)
		kernels.Activate(s.act, s.y, s.z, limit...)
	} else {
		s.product(s.y, x, rows, s.act, limit)
	}
	return s.y
}

func (s *affine) activation() (kernels.Activation, []float32) {
	if s.act.FromInput() {
		return s.act, s.z
	}
	return s.act, s.y
}

func (s *affine) backward(dx, dz, x []float32, rows int, from stage, p *pass, limit []kernels.Threads) {
	if p.accumulate {
		kernels.Gemm(kernels.Trans, kernels.NoTrans, s.in, s.out, rows, 1, x, s.in, dz, s.out, 1, s.dw, s.out, limit...)
		kernels.AddRows(rows, s.out, s.db, dz, s.out, limit...)
	} else {
		kernels.Gemm(kernels.Trans, kernels.NoTrans, s.in, s.out, rows, 1, x, s.in, dz, s.out, 0, s.dw, s.out, limit...)
		kernels.SumRows(rows, s.out, s.db, dz, s.out, limit...)
	}
	if dx == nil {
		return
	}
	act, of := from.activation()
	kernels.GemmFused(kernels.NoTrans, kernels.Trans, rows, s.in, s.out, 1, dz, s.out, s.w, s.out, 0, dx, s.in,
		kernels.Epilogue{Deriv: act, Y: of, LdY: s.in}, limit...)
}

// activation is an activation that has no affine layer before it.
type activation struct {
	width int
	act   kernels.Activation
	x, y  []float32 // of the last forward
}

func (s *activation) outputs() int { return s.width }

func (s *activation) infer(y, x []float32, _ int, _ *[]float32, limit []kernels.Threads) {
	kernels.Activate(s.act, y, x, limit...)
}

func (s *activation) forward(x []float32, rows int, _ *pass, limit []kernels.Threads) []float32 {
	s.x, s.y = x, resize(s.y, rows*s.width)
	kernels.Activate(s.act, s.y, x, limit...)
	return s.y
}

func (s *activation) activation() (kernels.Activation, []float32) {
	if s.act.FromInput() {
		return s.act, s.x
	}
	return s.act, s.y
}

func (s *activation) backward(dx, dz, _ []float32, _ int, from stage, _ *pass, limit []kernels.Threads) {
	if dx != nil {
		act, of := from.activation()
		if of == nil {
			of = dz // of the identity nothing is computed
		}
		kernels.Derive(act, dx, dz, of, limit...)
	}
}

// softmax turns rows into probabilities.
type softmax struct {
	plain
	width int
	y     []float32 // of the last forward
}

// plain is a stage that does not end with an activation.
type plain struct{}

func (plain) activation() (kernels.Activation, []float32) { return kernels.Identity, nil }

func (s *softmax) outputs() int { return s.width }

func (s *softmax) infer(y, x []float32, rows int, _ *[]float32, limit []kernels.Threads) {
	kernels.Softmax(rows, s.width, y, s.width, x, s.width, limit...)
}

func (s *softmax) forward(x []float32, rows int, _ *pass, limit []kernels.Threads) []float32 {
	s.y = resize(s.y, rows*s.width)
	s.infer(s.y, x, rows, nil, limit)
	return s.y
}

func (s *softmax) backward(dx, dy, _ []float32, rows int, from stage, _ *pass, limit []kernels.Threads) {
	if dx != nil {
		kernels.SoftmaxGrad(rows, s.width, dx, s.width, dy, s.width, s.y, s.width, limit...)
		derive(dx, from, limit)
	}
}

// batchNorm normalises columns.
type batchNorm struct {
	plain
	width                      int
	momentum                   float64
	eps                        float32
	unbiased                   bool
	gamma, beta, dgamma, dbeta []float32 // parts of the flat vectors
	mean, variance             []float32 // the running ones: parts of the network's Stats

	y                                 []float32 // of the last forward, as what follows
	batchMean, batchVariance, inverse []float32
	sums                              []float32 // of a backward that accumulates
}

func (s *batchNorm) outputs() int { return s.width }

func (s *batchNorm) infer(y, x []float32, rows int, scratch *[]float32, limit []kernels.Threads) {
	*scratch = resize(*scratch, s.width)
	kernels.InverseRoot(*scratch, s.variance, s.eps, limit...)
	kernels.Normalize(rows, s.width, y, s.width, x, s.width, s.mean, *scratch, s.gamma, s.beta, limit...)
}

func (s *batchNorm) forward(x []float32, rows int, _ *pass, limit []kernels.Threads) []float32 {
	s.y = resize(s.y, rows*s.width)
	if rows == 0 {
		return s.y
	}
	kernels.Moments(rows, s.width, s.batchMean, s.batchVariance, x, s.width, limit...)
	kernels.InverseRoot(s.inverse, s.batchVariance, s.eps, limit...)
	kernels.Normalize(rows, s.width, s.y, s.width, x, s.width, s.batchMean, s.inverse, s.gamma, s.beta, limit...)
	return s.y
}

// keep takes the batch into the running statistics: a single row, which has no variance, into
// the mean alone.
func (s *batchNorm) keep(rows int, limit []kernels.Threads) {
	kernels.Lerp(s.mean, s.batchMean, float32(1-s.momentum), limit...)
	if rows == 1 {
		return
	}
	if s.unbiased {
		kernels.Scale(s.batchVariance, s.batchVariance, float32(float64(rows)/float64(rows-1)), limit...)
	}
	kernels.Lerp(s.variance, s.batchVariance, float32(1-s.momentum), limit...)
}

func (s *batchNorm) backward(dx, dy, x []float32, rows int, from stage, p *pass, limit []kernels.Threads) {
	if rows == 0 {
		if !p.accumulate {
			clear(s.dgamma)
			clear(s.dbeta)
		}
		return
	}
	s.keep(rows, limit)
	dgamma, dbeta := s.dgamma, s.dbeta
	if p.accumulate {
		s.sums = resize(s.sums, 2*s.width)
		dgamma, dbeta = s.sums[:s.width], s.sums[s.width:]
	}
	kernels.NormalizeGrad(rows, s.width, dx, s.width, dgamma, dbeta, dy, s.width, x, s.width, s.batchMean, s.inverse, s.gamma, limit...)
	if p.accumulate {
		kernels.AddRows(1, s.width, s.dgamma, dgamma, s.width, limit...)
		kernels.AddRows(1, s.width, s.dbeta, dbeta, s.width, limit...)
	}
	if dx != nil {
		derive(dx, from, limit)
	}
}

// layerNorm normalises rows.
type layerNorm struct {
	plain
	width                      int
	eps                        float32
	gamma, beta, dgamma, dbeta []float32 // parts of the flat vectors

	y             []float32 // of the last forward, as what follows
	mean, inverse []float32 // of each row
}

func (s *layerNorm) outputs() int { return s.width }

func (s *layerNorm) infer(y, x []float32, rows int, _ *[]float32, limit []kernels.Threads) {
	kernels.LayerNorm(rows, s.width, y, s.width, x, s.width, s.gamma, s.beta, nil, nil, s.eps, limit...)
}

func (s *layerNorm) forward(x []float32, rows int, _ *pass, limit []kernels.Threads) []float32 {
	s.y, s.mean, s.inverse = resize(s.y, rows*s.width), resize(s.mean, rows), resize(s.inverse, rows)
	kernels.LayerNorm(rows, s.width, s.y, s.width, x, s.width, s.gamma, s.beta, s.mean, s.inverse, s.eps, limit...)
	return s.y
}

func (s *layerNorm) backward(dx, dy, x []float32, rows int, from stage, p *pass, limit []kernels.Threads) {
	if !p.accumulate {
		clear(s.dgamma)
		clear(s.dbeta)
	}
	kernels.LayerNormParams(rows, s.width, s.dgamma, s.dbeta, dy, s.width, x, s.width, s.mean, s.inverse, limit...)
	if dx != nil {
		kernels.LayerNormGrad(rows, s.width, dx, s.width, dy, s.width, x, s.width, s.mean, s.inverse, s.gamma, limit...)
		derive(dx, from, limit)
	}
}

// dropout drops inputs at random.
type dropout struct {
	plain
	width  int
	rate   float64
	number uint32 // of the dropouts in the network
	kept   float32
	later  float32 // multiplies predictions
	y      []float32
}

func (s *dropout) outputs() int { return s.width }

func (s *dropout) infer(y, x []float32, _ int, _ *[]float32, limit []kernels.Threads) {
	if s.later == 1 {
		copy(y, x)
	} else {
		kernels.Scale(y, x, s.later, limit...)
	}
}

func (s *dropout) mask(dst, x []float32, rows int, p *pass, limit []kernels.Threads) {
	kernels.Dropout(rows, s.width, dst, s.width, x, s.width, kernels.DropoutMask{
		Rate: s.rate, Seed: p.seed, Stream: uint32(philox.Dropout) + s.number, Step: p.step, Row: uint32(p.row),
	}, s.kept, limit...)
}

func (s *dropout) forward(x []float32, rows int, p *pass, limit []kernels.Threads) []float32 {
	s.y = resize(s.y, rows*s.width)
	s.mask(s.y, x, rows, p, limit)
	return s.y
}

func (s *dropout) backward(dx, dy, _ []float32, rows int, from stage, p *pass, limit []kernels.Threads) {
	if dx != nil {
		s.mask(dx, dy, rows, p, limit)
		derive(dx, from, limit)
	}
}
