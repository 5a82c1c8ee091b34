package search

import (
	"cmp"
	"slices"
)

// verdict on a load, for one goal.
type verdict int

const (
	undecided verdict = iota
	carried           // a lower bound
	lost              // an upper bound
)

// tried is a load with its trials.
type tried struct {
	load   float64
	trials []Outcome
}

// judge is the draft's classification of a load, for trials of one length: those that are still to come, up to the wanted
// number, are taken to be bad for the one bound and good for the other, and when that makes no difference it is decided.
func (t *tried) judge(c Config, g Goal) verdict {
	bad := t.bad(g)
	whole := max(len(t.trials), c.Trials)
	may := c.Exceed * float64(whole)
	switch good := len(t.trials) - bad; {
	case float64(whole-good) <= may:
		return carried
	case float64(bad) > may:
		return lost
	}
	return undecided
}

func (t *tried) bad(g Goal) (n int) {
	for _, o := range t.trials {
		if o.LossRatio() > g.LossRatio {
			n++
		}
	}
	return n
}

// confirmed reports whether an upper bound has stood against as many trials as a load may need, rather than just as many
// as decided it.
func (t *tried) confirmed(c Config) bool { return len(t.trials) >= c.Trials }

// conditional is the load without the loss of the trial that decides, the worst of those that have to meet the goal
// (conditional throughput in the draft).
func (t *tried) conditional(c Config) float64 {
	losses := make([]float64, len(t.trials))
	for i, o := range t.trials {
		losses[i] = o.LossRatio()
	}
	slices.Sort(losses)
	whole := max(len(t.trials), c.Trials)
	need := whole - int(c.Exceed*float64(whole)) // trials that have to be good
	return t.load * (1 - losses[min(need, len(losses))-1])
}

// loads are all that were tried, the smallest first.
type loads []*tried

func (l *loads) add(load float64, o Outcome) {
	i, found := slices.BinarySearchFunc(*l, load, func(t *tried, load float64) int { return cmp.Compare(t.load, load) })
	if !found {
		*l = slices.Insert(*l, i, &tried{load: load})
	}
	(*l)[i].trials = append((*l)[i].trials, o)
}

func (l loads) at(load float64) *tried {
	for _, t := range l {
		if t.load == load {
			return t
		}
	}
	return nil
}

// bounds are the lowest load that is lost, and the highest below it that is carried: a load that was carried by chance
// above one that was not says nothing.
func (l loads) bounds(c Config, g Goal) (lower, upper *tried) {
	for _, t := range l {
		switch t.judge(c, g) {
		case lost:
			return lower, t
		case carried:
			lower = t
		case undecided:
		}
	}
	return lower, nil
}

// undecided finds a load between the bounds that has not had enough trials.
func (l loads) undecided(c Config, g Goal) (float64, bool) {
	lower, upper := l.bounds(c, g)
	for _, t := range l {
		if lower != nil && t.load <= lower.load {
			continue
		}
		if upper != nil && t.load >= upper.load {
			break
		}
		if t.judge(c, g) == undecided {
			return t.load, true
		}
	}
	return 0, false
}

// beyond counts the loads on one side.
func (l loads) beyond(load float64, below bool) (n int) {
	for _, t := range l {
		if below && t.load < load || !below && t.load > load {
			n++
		}
	}
	return n
}
