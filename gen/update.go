package main

import "github.com/lockstep-go/lockstep/gen/vec"

// updates are the optimizers' update rules. Their sources are given at the
// functions of package kernels.
var updates = []kernel{
	elementwise("SGD", "p grad", "lr", `
		p = p - lr·grad`,
		func(l lanes) {
			l.Put("p", l.Sub(l.Get("p"), l.Mul(l.Scalar("lr"), l.Get("grad"))))
		}),

	elementwise("Momentum", "p v grad", "lr momentum", `
		v = momentum·v - lr·grad
		p = p + v`,
		func(l lanes) {
			v := l.velocity(l.Get("v"), l.Get("grad"))
			l.Put("v", v)
			l.Put("p", l.Add(l.Get("p"), v))
		}),

	elementwise("Nesterov", "p v grad", "lr momentum momentum2 lookAhead", `
		p = p + (momentum2·v - lookAhead·grad)
		v = momentum·v - lr·grad`,
		func(l lanes) {
			v, g := l.Get("v"), l.Get("grad")
			l.Put("p", l.lookAhead(l.Get("p"), v, g))
			l.Put("v", l.velocity(v, g))
		}),

	elementwise("NesterovVelocityFirst", "p v grad", "lr momentum momentum2 lookAhead", `
		v = momentum·v - lr·grad
		p = p + (momentum2·v - lookAhead·grad)`,
		func(l lanes) {
			g := l.Get("grad")
			v := l.velocity(l.Get("v"), g)
			l.Put("v", v)
			l.Put("p", l.lookAhead(l.Get("p"), v, g))
		}),

	elementwise("AdaGrad", "p h grad", "lr eps", `
		h = h + grad·grad
		p = p - (lr·grad)/(√h + eps)`,
		func(l lanes) {
			g := l.Get("grad")
			h := l.Add(l.Get("h"), l.Mul(g, g))
			l.Put("h", h)
			l.Put("p", l.scaled(l.Get("p"), g, h))
		}),

	elementwise("RMSprop", "p h grad", "lr rho oneMinusRho eps", `
		h = rho·h + oneMinusRho·(grad·grad)
		p = p - (lr·grad)/(√h + eps)`,
		func(l lanes) {
			g := l.Get("grad")
			h := l.Add(l.Mul(l.Scalar("rho"), l.Get("h")), l.Mul(l.Scalar("oneMinusRho"), l.Mul(g, g)))
			l.Put("h", h)
			l.Put("p", l.scaled(l.Get("p"), g, h))
		}),

	elementwise("Adam", "p m v grad", "lr oneMinusBeta1 oneMinusBeta2 eps", `
		m = m + oneMinusBeta1·(grad - m)
		v = v + oneMinusBeta2·(grad·grad - v)
		p = p - (lr·m)/(√v + eps)`,
		func(l lanes) {
			g, m, v := l.Get("grad"), l.Get("m"), l.Get("v")
			m = l.Add(m, l.Mul(l.Scalar("oneMinusBeta1"), l.Sub(g, m)))
			v = l.Add(v, l.Mul(l.Scalar("oneMinusBeta2"), l.Sub(l.Mul(g, g), v)))
			l.Put("m", m)
			l.Put("v", v)
			l.Put("p", l.scaled(l.Get("p"), m, v))
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
