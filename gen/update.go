package main

import (
	"fmt"
	"strings"

	"github.com/lockstep-go/lockstep/gen/vec"
)

// updates are the optimizers' update rules. Their sources are given at the
// functions of package kernels.
var updates = []kernel{
	update("SGD", "p grad", "lr", `
		p = p - lr·grad`,
		func(l lanes, p, g vec.V) {
			l.Put("p", l.Sub(p, l.Mul(l.Scalar("lr"), g)))
		}),

	update("Momentum", "p v grad", "lr momentum", `
		v = momentum·v - lr·grad
		p = p + v`,
		func(l lanes, p, g vec.V) {
			v := l.velocity(l.Get("v"), g)
			l.Put("v", v)
			l.Put("p", l.Add(p, v))
		}),

	update("Nesterov", "p v grad", "lr momentum momentum2 lookAhead", `
		p = p + (momentum2·v - lookAhead·grad)
		v = momentum·v - lr·grad`,
		func(l lanes, p, g vec.V) {
			v := l.Get("v")
			l.Put("p", l.lookAhead(p, v, g))
			l.Put("v", l.velocity(v, g))
		}),

	update("NesterovVelocityFirst", "p v grad", "lr momentum momentum2 lookAhead", `
		v = momentum·v - lr·grad
		p = p + (momentum2·v - lookAhead·grad)`,
		func(l lanes, p, g vec.V) {
			v := l.velocity(l.Get("v"), g)
			l.Put("v", v)
			l.Put("p", l.lookAhead(p, v, g))
		}),

	update("AdaGrad", "p h grad", "lr eps", `
		h = h + grad·grad
		p = p - (lr·grad)/(√h + eps)`,
		func(l lanes, p, g vec.V) {
			h := l.Add(l.Get("h"), l.Mul(g, g))
			l.Put("h", h)
			l.Put("p", l.scaled(p, g, h))
		}),

	update("RMSprop", "p h grad", "lr rho oneMinusRho eps", `
		h = rho·h + oneMinusRho·(grad·grad)
		p = p - (lr·grad)/(√h + eps)`,
		func(l lanes, p, g vec.V) {
			h := l.Add(l.Mul(l.Scalar("rho"), l.Get("h")), l.Mul(l.Scalar("oneMinusRho"), l.Mul(g, g)))
			l.Put("h", h)
			l.Put("p", l.scaled(p, g, h))
		}),

	update("Adam", "p m v grad", "lr oneMinusBeta1 oneMinusBeta2 eps", `
		m = m + oneMinusBeta1·(grad - m)
		v = v + oneMinusBeta2·(grad·grad - v)
		p = p - (lr·m)/(√v + eps)`,
		func(l lanes, p, g vec.V) {
			m, v := l.Get("m"), l.Get("v")
			m = l.Add(m, l.Mul(l.Scalar("oneMinusBeta1"), l.Sub(g, m)))
			v = l.Add(v, l.Mul(l.Scalar("oneMinusBeta2"), l.Sub(l.Mul(g, g), v)))
			l.Put("m", m)
			l.Put("v", v)
			l.Put("p", l.scaled(p, m, v))
		}),

	update("AdamW", "p m v grad", "stepSize oneMinusBeta1 beta2 oneMinusBeta2 rootCorrection eps", `
		m = m + oneMinusBeta1·(grad - m)
		v = beta2·v + (oneMinusBeta2·grad)·grad
		p = p - (stepSize·m)/(√v/rootCorrection + eps)`,
		func(l lanes, p, g vec.V) {
			m := l.mean(g)
			v := l.meanSquare(g)
			l.Put("p", l.step(p, m, l.corrected(v)))
		}),

	update("Lion", "p m grad", "lr beta1 oneMinusBeta1 beta2 oneMinusBeta2", `
		p = p - lr·sign(beta1·m + oneMinusBeta1·grad)
		m = beta2·m + oneMinusBeta2·grad`,
		func(l lanes, p, g vec.V) {
			m := l.Get("m")
			c := l.Add(l.Mul(l.Scalar("beta1"), m), l.Mul(l.Scalar("oneMinusBeta1"), g))
			l.Put("p", l.Sub(p, signed(l.Program, c, l.Scalar("lr"))))
			l.Put("m", l.Add(l.Mul(l.Scalar("beta2"), m), l.Mul(l.Scalar("oneMinusBeta2"), g)))
		}),

	heavyBall(false),
	heavyBall(true),

	torchRMSprop(false, false),
	torchRMSprop(true, false),
	torchRMSprop(false, true),
	torchRMSprop(true, true),

	update("Adadelta", "p h d grad", "lr rho oneMinusRho eps", `
		h = rho·h + (oneMinusRho·grad)·grad
		u = (√(d + eps)/√(h + eps))·grad
		d = rho·d + (oneMinusRho·u)·u
		p = p - lr·u`,
		func(l lanes, p, g vec.V) {
			h := l.rho("h", g)
			root := func(x vec.V) vec.V { return l.Sqrt(l.Add(x, l.Scalar("eps"))) }
			u := l.Mul(l.Div(root(l.Get("d")), root(h)), g)
			l.rho("d", u)
			l.Put("p", l.Sub(p, l.Mul(l.Scalar("lr"), u)))
		}),

	update("AMSGrad", "p m v top grad", "stepSize oneMinusBeta1 beta2 oneMinusBeta2 rootCorrection eps", `
		m = m + oneMinusBeta1·(grad - m)
		v = beta2·v + (oneMinusBeta2·grad)·grad
		top = top if top > v, else v
		p = p - (stepSize·m)/(√top/rootCorrection + eps)`,
		func(l lanes, p, g vec.V) {
			m := l.mean(g)
			top := l.Max(l.Get("top"), l.meanSquare(g))
			l.Put("top", top)
			l.Put("p", l.step(p, m, l.corrected(top)))
		}),

	update("Adamax", "p m u grad", "stepSize oneMinusBeta1 beta2 eps", `
		m = m + oneMinusBeta1·(grad - m)
		u = beta2·u if beta2·u > |grad| + eps, else |grad| + eps
		p = p - (stepSize·m)/u`,
		func(l lanes, p, g vec.V) {
			m := l.mean(g)
			size := l.Add(l.And(g, l.Bits(32, 1<<31-1)), l.Scalar("eps"))
			u := l.Max(l.Mul(l.Scalar("beta2"), l.Get("u")), size)
			l.Put("u", u)
			l.Put("p", l.step(p, m, u))
		}),

	update("NAdam", "p m v grad", "gradStep meanStep oneMinusBeta1 beta2 oneMinusBeta2 inverseCorrection eps", `
		m = m + oneMinusBeta1·(grad - m)
		v = beta2·v + (oneMinusBeta2·grad)·grad
		p = p - (gradStep·grad + meanStep·m)/(√(v·inverseCorrection) + eps)`,
		func(l lanes, p, g vec.V) {
			m := l.mean(g)
			v := l.meanSquare(g)
			root := l.Add(l.Sqrt(l.Mul(v, l.Scalar("inverseCorrection"))), l.Scalar("eps"))
			step := l.Add(l.Mul(l.Scalar("gradStep"), g), l.Mul(l.Scalar("meanStep"), m))
			l.Put("p", l.Sub(p, l.Div(step, root)))
		}),

	update("RAdam", "p m v grad", "stepSize oneMinusBeta1 beta2 oneMinusBeta2 eps rectified", `
		m = m + oneMinusBeta1·(grad - m)
		v = beta2·v + (oneMinusBeta2·grad)·grad
		p = p - (stepSize·m)/(√v + eps if rectified > 0, else 1)`,
		func(l lanes, p, g vec.V) {
			m := l.mean(g)
			v := l.meanSquare(g)
			root := l.Select(l.Gt(l.Scalar("rectified"), l.F32(0)), l.Add(l.Sqrt(v), l.Scalar("eps")), l.F32(1))
			l.Put("p", l.step(p, m, root))
		}),

	update("Rprop", "p prev step grad", "etaMinus etaPlus minStep maxStep", `
		s = grad·prev
		step = step·etaPlus if s > 0, step·etaMinus if 0 > s, else step
		step = minStep if minStep > step; then maxStep if step > maxStep
		prev = 0 if 0 > s, else grad
		p = p - step·sign(prev)`,
		func(l lanes, p, g vec.V) {
			s, step, zero := l.Mul(g, l.Get("prev")), l.Get("step"), l.F32(0)
			back := l.Gt(zero, s)
			less := l.Select(back, l.Mul(step, l.Scalar("etaMinus")), step)
			step = l.Select(l.Gt(s, zero), l.Mul(step, l.Scalar("etaPlus")), less)
			step = l.Min(l.Scalar("maxStep"), l.Max(l.Scalar("minStep"), step))
			l.Put("step", step)
			g = l.Select(back, zero, g)
			l.Put("prev", g)
			l.Put("p", l.Sub(p, signed(l.Program, g, step)))
		}),

	update("ASGD", "p mean grad", "lr mu oneMinusMu", `
		p = p - lr·grad
		mean = oneMinusMu·mean + mu·p`,
		func(l lanes, p, g vec.V) {
			p = l.Sub(p, l.Mul(l.Scalar("lr"), g))
			l.Put("p", p)
			l.Put("mean", l.Add(l.Mul(l.Scalar("oneMinusMu"), l.Get("mean")), l.Mul(l.Scalar("mu"), p)))
		}),

	direction("LAMB", "p m v dir grad", "meanScale oneMinusBeta1 beta2 oneMinusBeta2 rootCorrection eps decay", `
		m = m + oneMinusBeta1·(grad - m)
		v = beta2·v + (oneMinusBeta2·grad)·grad
		dir = (meanScale·m)/(√v/rootCorrection + eps) + decay·p`,
		func(l lanes, p, g vec.V) {
			m := l.mean(g)
			v := l.meanSquare(g)
			ratio := l.Div(l.Mul(l.Scalar("meanScale"), m), l.corrected(v))
			l.Put("dir", l.Add(ratio, l.Mul(l.Scalar("decay"), p)))
		}),

	direction("Muon", "p m dir grad", "momentum oneMinusMomentum", `
		m = m + oneMinusMomentum·(grad - m)
		dir = grad + momentum·(m - grad)`,
		func(l lanes, p, g vec.V) {
			m := l.Get("m")
			m = l.Add(m, l.Mul(l.Scalar("oneMinusMomentum"), l.Sub(g, m)))
			l.Put("m", m)
			l.Put("dir", l.Add(g, l.Mul(l.Scalar("momentum"), l.Sub(m, g))))
		}),

	direction("Adjust", "p dst grad", "", `
		dst = grad`,
		func(l lanes, p, g vec.V) {
			l.Put("dst", g)
		}),

	streams("p"), streams("p m"), streams("p m v"), streams("p m v top"),
}

// streams are no update rules, but what they are measured by: kernels that read and
// write as many vectors, in the same loop, and hardly compute.
func streams(vectors string) kernel {
	names := strings.Fields(vectors)
	var doc string
	for _, name := range names {
		doc += name + " = " + name + " + grad\n"
	}
	return elementwise(fmt.Sprintf("Stream%d", len(names)+1), vectors+" grad", "", doc, func(l lanes) {
		g := l.Get("grad")
		for _, name := range names {
			l.Put(name, l.Add(l.Get(name), g))
		}
	})
}

// heavyBall describes gradient descent with a velocity that holds no learning
// rate.
func heavyBall(nesterov bool) kernel {
	name, ahead := "HeavyBall", "v"
	if nesterov {
		name, ahead = "HeavyBallNesterov", "(grad + momentum·v)"
	}
	return update(name, "p v grad", "lr momentum oneMinusDampening", `
		v = momentum·v + oneMinusDampening·grad
		p = p - lr·`+ahead,
		func(l lanes, p, g vec.V) {
			v := l.Add(l.Mul(l.Scalar("momentum"), l.Get("v")), l.Mul(l.Scalar("oneMinusDampening"), g))
			l.Put("v", v)
			if nesterov {
				v = l.Add(g, l.Mul(l.Scalar("momentum"), v))
			}
			l.Put("p", l.Sub(p, l.Mul(l.Scalar("lr"), v)))
		})
}

// torchRMSprop describes RMSprop with the mean taken from the mean square, or not,
// and with momentum, or not.
func torchRMSprop(centered, momentum bool) kernel {
	name, streams, scalars := "TorchRMSprop", "p h", "lr rho oneMinusRho eps"
	doc, root := "h = rho·h + (oneMinusRho·grad)·grad\n", "(√h + eps)"
	if centered {
		name, streams = name+"Centered", streams+" mean"
		doc, root = doc+"mean = mean + oneMinusRho·(grad - mean)\n", "(√(h - mean·mean) + eps)"
	}
	if momentum {
		name, streams, scalars = name+"Momentum", streams+" v", scalars+" momentum"
		doc += "v = momentum·v + grad/" + root + "\np = p - lr·v"
	} else {
		doc += "p = p - (lr·grad)/" + root
	}
	return update(name, streams+" grad", scalars, doc, func(l lanes, p, g vec.V) {
		h := l.rho("h", g)
		if centered {
			mean := l.Get("mean")
			mean = l.Add(mean, l.Mul(l.Scalar("oneMinusRho"), l.Sub(g, mean)))
			l.Put("mean", mean)
			h = l.Sub(h, l.Mul(mean, mean))
		}
		if !momentum {
			l.Put("p", l.scaled(p, g, h))
			return
		}
		v := l.Add(l.Mul(l.Scalar("momentum"), l.Get("v")), l.Div(g, l.Add(l.Sqrt(h), l.Scalar("eps"))))
		l.Put("v", v)
		l.Put("p", l.Sub(p, l.Mul(l.Scalar("lr"), v)))
	})
}

// rho takes g into the mean square h, which it gives: rho·h + (oneMinusRho·g)·g.
func (l lanes) rho(h string, g vec.V) vec.V {
	x := l.Add(l.Mul(l.Scalar("rho"), l.Get(h)), l.Mul(l.Mul(l.Scalar("oneMinusRho"), g), g))
	l.Put(h, x)
	return x
}

// mean takes g into the mean m, which it gives: m + oneMinusBeta1·(g - m).
func (l lanes) mean(g vec.V) vec.V {
	m := l.Get("m")
	m = l.Add(m, l.Mul(l.Scalar("oneMinusBeta1"), l.Sub(g, m)))
	l.Put("m", m)
	return m
}

// meanSquare takes g into the mean square v, which it gives:
// beta2·v + (oneMinusBeta2·g)·g.
func (l lanes) meanSquare(g vec.V) vec.V {
	v := l.Add(l.Mul(l.Scalar("beta2"), l.Get("v")), l.Mul(l.Mul(l.Scalar("oneMinusBeta2"), g), g))
	l.Put("v", v)
	return v
}

// step is p - (stepSize·m)/root.
func (l lanes) step(p, m, root vec.V) vec.V {
	return l.Sub(p, l.Div(l.Mul(l.Scalar("stepSize"), m), root))
}

// corrected is √v/rootCorrection + eps. A root is never subnormal, and the sign of a
// zero is of no importance if eps is not -0: so Over will do.
func (l lanes) corrected(v vec.V) vec.V {
	return l.Add(l.Over(l.Sqrt(v), l.correction), l.Scalar("eps"))
}

// velocity is momentum·v - lr·g.
func (l lanes) velocity(v, g vec.V) vec.V {
	return l.Sub(l.Mul(l.Scalar("momentum"), v), l.Mul(l.Scalar("lr"), g))
}

// lookAhead is p + (momentum2·v - lookAhead·g).
func (l lanes) lookAhead(p, v, g vec.V) vec.V {
	return l.Add(p, l.Sub(l.Mul(l.Scalar("momentum2"), v), l.Mul(l.Scalar("lookAhead"), g)))
}

// scaled is p - (lr·g)/(√h + eps).
func (l lanes) scaled(p, g, h vec.V) vec.V {
	return l.Sub(p, l.Div(l.Mul(l.Scalar("lr"), g), l.Add(l.Sqrt(h), l.Scalar("eps"))))
}

// signed is by with the sign of x, or 0 if x is 0 or NaN.
func signed(p *vec.Program, x, by vec.V) vec.V {
	zero := p.F32(0)
	return p.Sub(p.And(p.Gt(x, zero), by), p.And(p.Gt(zero, x), by))
}

// options are what a rule may do to the gradient and the parameter first, and zeroing the
// gradient last: bit i of the parameter options stands for options[i].
var options = []string{"OptionScale", "OptionClip", "OptionL1", "OptionL2", "OptionKeep", "OptionZero"}

// updateTypes writes the constants.
func updateTypes() []byte {
	return []byte(vec.Header + "\npackage asm\n\n// The bits of an update rule's parameter options.\nconst (\n" +
		options[0] + " = 1 << iota\n" + strings.Join(options[1:], "\n") + "\n)\n")
}

// update describes an update rule: an elementwise kernel of which the vector p is
// the parameters and grad the gradients. body gets both when the options have been
// done.
func update(name, streams, scalars, doc string, body func(l lanes, p, g vec.V)) kernel {
	return rule(name, streams, scalars, doc, true, body)
}

// direction is update for a rule that only reads the parameters, and so has no
// OptionKeep.
func direction(name, streams, scalars, doc string, body func(l lanes, p, g vec.V)) kernel {
	return rule(name, streams, scalars, doc, false, body)
}

// rule describes an update rule, with OptionKeep or without. There is a loop
// without options, since most have none, and one that asks for them, as does the
// tail of both.
func rule(name, streams, scalars, doc string, keep bool, body func(l lanes, p, g vec.V)) kernel {
	optionScalars := "scale clip l1 l2"
	if keep {
		optionScalars += " keep"
	}
	k := elementwise(name, streams, scalars+" "+optionScalars, doc, nil)
	k.params = append(k.params, vec.Param{Name: "options", Type: vec.Int})
	k.doc = append(k.doc, "", "after the options; see kernels.GradCoef.")
	if strings.Contains(scalars, "rootCorrection") {
		k.doc = append(k.doc, "It wants rootCorrection from 2^-20 to 2^20, and eps not to be -0.")
	}
	k.body = func(p *vec.Program) {
		l, n, list := startElementwise(p, streams, scalars)
		if c, ok := l.scalars["rootCorrection"]; ok {
			l.correction = l.divisor(c)
		}
		asked := p.Param("options")
		onGradient := 0 // the options that change it
		for i, name := range options {
			if name != "OptionKeep" && name != "OptionZero" {
				onGradient |= 1 << i
			}
		}
		withOptions := func() {
			x, g := p.Vec(32), p.Vec(32)
			p.Set(x, l.Get("p"))
			p.Set(g, l.Get("grad"))
			option := func(name string, do func()) {
				skip := p.NewLabel()
				p.JumpNone(asked, 1<<indexOf(options, name), skip)
				do()
				p.Here(skip)
			}
			done := p.NewLabel()
			p.JumpNone(asked, onGradient, done) // decoupled weight decay alone is common, and each test takes time
			option("OptionScale", func() { p.Set(g, p.Mul(p.Splat("scale"), g)) })
			option("OptionClip", func() {
				clip := p.Splat("clip")
				p.Set(g, p.Max(p.Sub(p.F32(0), clip), p.Min(clip, g)))
			})
			option("OptionL1", func() { p.Set(g, p.Add(g, signed(p, x, p.Splat("l1")))) })
			option("OptionL2", func() { p.Set(g, p.Add(g, p.Mul(p.Splat("l2"), x))) })
			p.Here(done)
			if keep {
				option("OptionKeep", func() { p.Set(x, p.Mul(p.Splat("keep"), x)) })
			}
			l.readThenWrite(func(l lanes) { body(l, x, g) })
			option("OptionZero", func() { l.Store(l.streams["grad"].At(), p.F32(0)) })
		}
		withoutOptions := func() { l.readThenWrite(func(l lanes) { body(l, l.Get("p"), l.Get("grad")) }) }
		plain, rest := p.NewLabel(), p.NewLabel()
		p.JumpZero(asked, plain)
		if p.Target.Masks {
			p.Jump(rest)
			p.Here(plain)
			p.EachVector(n, list, withoutOptions)
			p.AndI(n, p.Lanes-1)
			p.Here(rest)
			p.EachMasked(n, list, withOptions)
			return
		}
		p.EachVector(n, list, withOptions)
		p.Jump(rest)
		p.Here(plain)
		p.EachVector(n, list, withoutOptions)
		p.Here(rest)
		p.EachRest(n, withOptions)
	}
	return k
}
