package main

import (
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
			m := l.Get("m")
			m = l.Add(m, l.Mul(l.Scalar("oneMinusBeta1"), l.Sub(g, m)))
			l.Put("m", m)
			v := l.Add(l.Mul(l.Scalar("beta2"), l.Get("v")), l.Mul(l.Mul(l.Scalar("oneMinusBeta2"), g), g))
			l.Put("v", v)
			root := l.Add(l.Div(l.Sqrt(v), l.Scalar("rootCorrection")), l.Scalar("eps"))
			l.Put("p", l.Sub(p, l.Div(l.Mul(l.Scalar("stepSize"), m), root)))
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

// options are what a rule may do to the gradient and the parameter first: bit i of
// the parameter options stands for options[i].
var options = []string{"OptionScale", "OptionClip", "OptionL1", "OptionL2", "OptionKeep", "OptionZero"}

// updateTypes writes the constants.
func updateTypes() []byte {
	return []byte(vec.Header + "\npackage asm\n\n// The bits of an update rule's parameter options.\nconst (\n" +
		options[0] + " = 1 << iota\n" + strings.Join(options[1:], "\n") + "\n)\n")
}

// update describes an update rule: an elementwise kernel of which the vector p is
// the parameters and grad the gradients. body gets both when the options have been
// done. There is a loop without options, since most have none, and one that asks
// for each, as does the tail of both.
func update(name, streams, scalars, doc string, body func(l lanes, p, g vec.V)) kernel {
	k := elementwise(name, streams, scalars, doc, nil)
	k.params = append(k.params, vec.Params("scale, clip, l1, l2, keep float32, options int")...)
	k.doc = append(k.doc, "", "after the options; see kernels.GradCoef.")
	k.body = func(p *vec.Program) {
		l, n, list := startElementwise(p, streams, scalars)
		asked := p.Param("options")
		flags := map[string]vec.R{}
		for i, name := range options {
			flags[name] = p.Copy(asked)
			p.AndI(flags[name], 1<<i)
		}
		withOptions := func() {
			x, g := p.Vec(32), p.Vec(32)
			p.Set(x, l.Get("p"))
			p.Set(g, l.Get("grad"))
			option := func(name string, do func()) {
				skip := p.NewLabel()
				p.JumpZero(flags[name], skip)
				do()
				p.Here(skip)
			}
			option("OptionZero", func() { l.Put("grad", p.F32(0)) })
			option("OptionScale", func() { p.Set(g, p.Mul(p.Splat("scale"), g)) })
			option("OptionClip", func() {
				clip := p.Splat("clip")
				p.Set(g, p.Max(p.Sub(p.F32(0), clip), p.Min(clip, g)))
			})
			option("OptionL1", func() { p.Set(g, p.Add(g, signed(p, x, p.Splat("l1")))) })
			option("OptionL2", func() { p.Set(g, p.Add(g, p.Mul(p.Splat("l2"), x))) })
			option("OptionKeep", func() { p.Set(x, p.Mul(p.Splat("keep"), x)) })
			body(l, x, g)
		}
		plain, rest := p.NewLabel(), p.NewLabel()
		p.JumpZero(asked, plain)
		p.EachVector(n, list, withOptions)
		p.Jump(rest)
		p.Here(plain)
		p.EachVector(n, list, func() { body(l, l.Get("p"), l.Get("grad")) })
		p.Here(rest)
		p.EachRest(n, withOptions)
	}
	return k
}
