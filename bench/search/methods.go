package search

import (
	"math"
	"slices"
	"sort"

	"github.com/lockstep-go/lockstep/internal/det"
)

// random does all trials at once. Source: Bergstra and Bengio, Random search for
// hyper-parameter optimization, 2012.
func (s *search) random() error {
	return s.evaluate(s.propose(s.Trials, s.anywhere))
}

// eta is how many trials of a rung compete for one place in the next, which has eta times
// the epochs: the Hyperband paper's usual choice.
const eta = 3

// bracket is a run of successive halving. Its rung i has trials[i] trials of epochs[i] epochs.
type bracket struct {
	trials, epochs []int
}

// newBracket has n trials in the first rung and, halvings later, full epochs in the last.
func newBracket(n, halvings, full int) (b bracket) {
	for i := range halvings + 1 {
		part := power(eta, halvings-i)
		b.trials = append(b.trials, n/power(eta, i))
		b.epochs = append(b.epochs, (2*full+part)/(2*part)) // rounded
	}
	return b
}

// cost is the sum of the epochs of all evaluations.
func (b bracket) cost() (epochs int) {
	for i, n := range b.trials {
		epochs += n * b.epochs[i]
	}
	return epochs
}

// within returns the most trials that a bracket can begin with for so many epochs.
func within(budget, halvings, full int) int {
	return sort.Search(budget, func(n int) bool { return newBracket(n+1, halvings, full).cost() > budget })
}

// power returns base to the power n.
func power(base, n int) int {
	p := 1
	for range n {
		p *= base
	}
	return p
}

// halvings returns the integer part of the logarithm of the epochs to the base eta.
func halvings(epochs int) int {
	n := 0
	for ; epochs >= eta; epochs /= eta {
		n++
	}
	return n
}

// halving is one bracket, with as many halvings as there are epochs for and as many trials
// as the budget allows. Source: Jamieson and Talwalkar, Non-stochastic best arm
// identification and hyperparameter optimization, 2016.
func (s *search) halving() error {
	budget := s.Trials * s.Epochs
	for h := halvings(s.Epochs); ; h-- {
		if n := within(budget, h, s.Epochs); n >= power(eta, h) { // one trial reaches the end
			return s.climb([]bracket{newBracket(n, h, s.Epochs)})
		}
	}
}

// hyperband runs successive halving from many trials of few epochs to few of many. Source:
// Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, Hyperband: a novel bandit-based
// approach to hyperparameter optimization, 2018.
func (s *search) hyperband() error {
	return s.climb(hyperbands(s.Trials*s.Epochs, s.Epochs))
}

// hyperbands returns the brackets of the paper's algorithm 1, again and again while the
// budget lasts. Towards its end they are cut down, or left out where no trial would be
// trained in full.
func hyperbands(budget, full int) (all []bracket) {
	largest := halvings(full)
	for budget >= full {
		for h := largest; h >= 0; h-- {
			n := ((largest+1)*power(eta, h) + h) / (h + 1) // rounded up
			n = min(n, within(budget, h, full))
			if n >= power(eta, h) {
				b := newBracket(n, h, full)
				budget -= b.cost()
				all = append(all, b)
			}
		}
	}
	return all
}

// climb does brackets. None depends on another, so a round is one rung of all of them.
func (s *search) climb(brackets []bracket) error {
	in := make([][]*trial, len(brackets)) // the trials that each still has
	for i, b := range brackets {
		in[i] = s.propose(b.trials[0], s.anywhere)
	}
	for rung := 0; ; rung++ {
		var round []*trial
		for i, b := range brackets {
			if rung == len(b.trials) {
				in[i] = nil
			}
			if len(in[i]) == 0 {
				continue
			}
			in[i] = ranked(in[i])[:b.trials[rung]]
			for _, t := range in[i] {
				t.Epochs = b.epochs[rung]
			}
			round = append(round, in[i]...)
		}
		if len(round) == 0 {
			return nil
		}
		if err := s.evaluate(round); err != nil {
			return err
		}
	}
}

// Of the genetic search.
const (
	population = 20
	extension  = 0.5 // of crossover, beyond the parents
	mutation   = 0.1 // probability
)

// genetic breeds generations. The best trials so far, a population, may be parents: each is
// the better of two chosen evenly, a tournament. A child's parameter lies evenly between its
// parents' or up to half their distance beyond: the crossover BLX-0.5. Some mutate: they
// are anywhere.
//
// Sources: Goldberg and Deb, A comparative analysis of selection schemes used in genetic
// algorithms, 1991; Eshelman and Schaffer, Real-coded genetic algorithms and interval
// schemata, 1993; Michalewicz, Genetic algorithms + data structures = evolution programs,
// 1992, for the uniform mutation.
func (s *search) genetic() error {
	place := s.anywhere
	for len(s.trials) < s.Trials {
		round := s.propose(min(population, s.Trials-len(s.trials)), place)
		if err := s.evaluate(round); err != nil {
			return err
		}
		parents := ranked(s.trials)
		parents = parents[:min(population, len(parents))]
		place = func(random *numbers) []float64 { return s.child(parents, random) }
	}
	return nil
}

// child is a place that two of the ranked parents lead to.
func (s *search) child(parents []*trial, random *numbers) []float64 {
	choose := func() []float64 {
		return parents[min(random.index(len(parents)), random.index(len(parents)))].at
	}
	a, b := choose(), choose()
	at := make([]float64, len(s.Space))
	for i := range at {
		at[i] = random.float()
		if random.float() >= mutation {
			share := float64((1+2*extension)*at[i]) - extension
			at[i] = min(max(a[i]+float64(share*(b[i]-a[i])), 0), 1)
		}
	}
	return at
}

// Of the Parzen estimator; the share of good trials is the paper's.
const (
	startup    = 20
	parzens    = 10 // trials of a round
	good       = 0.15
	candidates = 24
)

// tpe is the tree-structured Parzen estimator: after a startup anywhere, it estimates the
// density l of the places of the good trials and g of those of the others, and proposes,
// of some candidates from l, that with the greatest l/g. The trials of a round do so
// with the same densities, each with candidates of its own.
//
// Source: Bergstra, Bardenet, Bengio and Kégl, Algorithms for hyper-parameter optimization,
// 2011, section 4.
func (s *search) tpe() error {
	if err := s.evaluate(s.propose(min(startup, s.Trials), s.anywhere)); err != nil {
		return err
	}
	for len(s.trials) < s.Trials {
		order := ranked(s.trials)
		cut := int(math.Ceil(float64(len(order)) * good))
		l, g := s.estimate(order[:cut]), s.estimate(order[cut:])
		place := func(random *numbers) (best []float64) {
			greatest := math.Inf(-1)
			for range candidates {
				at, ratio := make([]float64, len(s.Space)), 0.0
				for i := range at {
					at[i] = l[i].draw(random)
					ratio += det.Log(l[i].density(at[i])) - det.Log(g[i].density(at[i]))
				}
				if best == nil || ratio > greatest {
					best, greatest = at, ratio
				}
			}
			return best
		}
		if err := s.evaluate(s.propose(min(parzens, s.Trials-len(s.trials)), place)); err != nil {
			return err
		}
	}
	return nil
}

// estimate returns an estimate of the density of trials for each parameter.
func (s *search) estimate(trials []*trial) []parzen {
	all := make([]parzen, len(s.Space))
	for i := range all {
		var x []float64
		for _, t := range trials {
			x = append(x, t.at[i])
		}
		all[i] = newParzen(x)
	}
	return all
}

// parzen is a density on [0, 1]: the mean of the uniform one and of normal ones, cut off at
// 0 and 1.
type parzen struct {
	means, deviations, masses []float64 // a mass is the part within [0, 1]
}

// newParzen has a normal density around each x. Its deviation is the distance to the farther
// of its neighbours, the ends being neighbours too, but no less than one part in the number
// of densities, or in 100.
func newParzen(x []float64) (p parzen) {
	p.means = slices.Sorted(slices.Values(x))
	least := 1 / float64(min(len(x)+1, 100))
	for i, mean := range p.means {
		left, right := 0.0, 1.0
		if i > 0 {
			left = p.means[i-1]
		}
		if i < len(x)-1 {
			right = p.means[i+1]
		}
		deviation := max(mean-left, right-mean, least)
		p.deviations = append(p.deviations, deviation)
		p.masses = append(p.masses, cumulative((1-mean)/deviation)-cumulative(-mean/deviation))
	}
	return p
}

func (p parzen) density(x float64) float64 {
	sum := 1.0
	for i, mean := range p.means {
		z := (x - mean) / p.deviations[i]
		sum += det.Exp(-z*z/2) / (math.Sqrt(2*math.Pi) * p.deviations[i] * p.masses[i])
	}
	return sum / float64(len(p.means)+1)
}

// draw returns a number with this density.
func (p parzen) draw(random *numbers) float64 {
	i := random.index(len(p.means) + 1)
	if i == len(p.means) {
		return random.float()
	}
	for {
		if x := p.means[i] + float64(p.deviations[i]*random.normal()); x >= 0 && x <= 1 {
			return x
		}
	}
}

// cumulative is the standard normal distribution function, to within 1e-7. Source: Hastings'
// approximation in Abramowitz and Stegun, Handbook of mathematical functions, 26.2.17.
func cumulative(z float64) float64 {
	if z < 0 {
		return 1 - cumulative(-z)
	}
	t := 1 / (1 + float64(0.2316419*z))
	sum := 0.0
	for _, c := range []float64{1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530} {
		sum = float64((sum + c) * t)
	}
	return 1 - float64(det.Exp(-z*z/2)/math.Sqrt(2*math.Pi)*sum)
}
