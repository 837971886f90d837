package kernels

import (
	"math"

	"github.com/lockstep-go/lockstep/asm"
)

// GradCoef is what an update rule does to a gradient g and its parameter p before
// anything else, in this order, in the same pass over memory. What is zero is left
// out: nothing is multiplied by 1, and no 0 is added.
//
//	g = Scale·g
//	g = Clip if g > Clip, -Clip if -Clip > g
//	g = g + L1·sign(p)
//	g = g + L2·p
//	p = Keep·p
//
// The sign of a zero and of NaN is 0. Clipping lets NaN through.
type GradCoef struct {
	Scale float32 // what clipping by the norm gives; -1 to maximize
	Clip  float32 // the greatest magnitude of an element of the gradient
	L1    float32 // of the penalty L1·Σ|p|
	L2    float32 // of the penalty L2/2·Σp², which is coupled weight decay
	Keep  float32 // 1 - η·λ: decoupled weight decay λ
	Zero  bool    // sets the vector of gradients to zero, which a rule only reads otherwise
}

// options are the bits that the assembly asks for.
func (c *GradCoef) options() int {
	options := 0
	for _, o := range []struct {
		on  bool
		bit int
	}{
		{c.Scale != 0, asm.OptionScale}, {c.Clip != 0, asm.OptionClip}, {c.L1 != 0, asm.OptionL1}, {c.L2 != 0, asm.OptionL2},
		{c.Keep != 0, asm.OptionKeep}, {c.Zero, asm.OptionZero},
	} {
		if o.on {
			options |= o.bit
		}
	}
	return options
}

// ready gives a parameter and its gradient as a rule sees them.
func (c *GradCoef) ready(p, g float32) (float32, float32) {
	if c.Scale != 0 {
		g *= c.Scale
	}
	if c.Clip != 0 {
		g = clamp(g, 0-c.Clip, c.Clip)
	}
	if c.L1 != 0 {
		g += signed(p, c.L1)
	}
	if c.L2 != 0 {
		g += float32(c.L2 * p)
	}
	if c.Keep != 0 {
		p *= c.Keep
	}
	return p, g
}

// signed is by with the sign of x, or 0 if x is 0 or NaN.
func signed(x, by float32) float32 {
	switch {
	case x > 0:
		return by
	case 0 > x:
		return 0 - by
	}
	return 0
}

// abs is x without its sign.
func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// accesses tells what is done to the gradients.
func (c *GradCoef) accesses(grad []float32) {
	if c.Zero {
		writes(grad)
	} else {
		reads(grad)
	}
}

// done sets the gradients to zero if that is asked for.
func (c *GradCoef) done(grad []float32) {
	if c.Zero {
		clear(grad)
	}
}
