package qos

import "math"

// Fluid is the ideal that a scheduler is compared with: the rates, in bytes a second by leaf and class, at which all queues
// are served at once when so much is offered to each. Packets, quanta and bursts do not exist there. Infinity is a queue that
// is never empty. Leaves and groups with a maximum may be offered something in one ETS class only: how they would divide
// it among several is not for the model to say.
func Fluid(c *Config, offered [][Classes]float64) [][Classes]float64 {
	return newFluid(c, offered).solve()
}

// fluid is one such question.
type fluid struct {
	c       *Config
	x       shares
	offered [][Classes]float64 // bytes a second, by leaf
	leaf    []float64          // what its maximum has left
	group   []float64
	div     [Classes][]division // by group, the last is the class
	rates   [][Classes]float64
}

func newFluid(c *Config, offered [][Classes]float64) *fluid {
	f := &fluid{c: c, x: newShares(c), offered: offered, rates: make([][Classes]float64, len(c.Leaves))}
	for i := range c.Leaves {
		f.leaf = append(f.leaf, capOf(c.Leaves[i].MaxBytesPerSec))
	}
	for i := range c.Groups {
		f.group = append(f.group, capOf(c.Groups[i].MaxBytesPerSec))
	}
	for class, sure := range c.sureRates() {
		f.div[class] = f.x.divisions(sure)
	}
	return f
}

func capOf(maximum uint64) float64 {
	if maximum == 0 {
		return math.Inf(1)
	}
	return float64(maximum)
}

// fill divides a total by weight, up to what each can use.
func fill(total float64, use, weight []float64) []float64 {
	got := make([]float64, len(use))
	open := make([]bool, len(use))
	for i := range open {
		open[i] = use[i] > 0
	}
	for {
		var sum float64
		for i := range use {
			if open[i] {
				sum += weight[i]
			}
		}
		if sum == 0 {
			return got
		}
		level, again := total/sum, false
		for i := range use {
			if open[i] && use[i] <= level*weight[i] {
				got[i], open[i], again = use[i], false, true
				total -= use[i]
				break
			}
		}
		if again {
			continue
		}
		for i := range use {
			if open[i] {
				got[i] = level * weight[i]
			}
		}
		return got
	}
}

// members of a group (or NoGroup) in a class: groups, then leaves.
func (f *fluid) members(group int32) (groups, leaves []int) {
	for i := range f.c.Groups {
		if f.c.Groups[i].Parent == group {
			groups = append(groups, i)
		}
	}
	for i := range f.c.Leaves {
		if f.c.Leaves[i].Group == group {
			leaves = append(leaves, i)
		}
	}
	return groups, leaves
}

// use is what a group could send in a class, were it alone.
func (f *fluid) use(class int, group int32) (sum float64) {
	groups, leaves := f.members(group)
	for _, g := range groups {
		sum += f.use(class, int32(g))
	}
	for _, l := range leaves {
		sum += min(f.offered[l][class], f.leaf[l])
	}
	if group != NoGroup {
		sum = min(sum, f.group[group])
	}
	return sum
}

// serve divides a rate among the members of a group in a class, and takes it from their maximums.
func (f *fluid) serve(class int, group int32, rate float64) {
	groups, leaves := f.members(group)
	d := f.div[class]
	node := &d[len(d)-1]
	if group != NoGroup {
		node = &d[group]
		f.group[group] -= rate
	}
	var use, weight []float64
	for _, g := range groups {
		use = append(use, f.use(class, int32(g)))
		weight = append(weight, node.share(f.x.group(g)))
	}
	for _, l := range leaves {
		use = append(use, min(f.offered[l][class], f.leaf[l]))
		weight = append(weight, node.share(f.x.leaf(l)))
	}
	got := fill(rate, use, weight)
	for i, g := range groups {
		f.serve(class, int32(g), got[i])
	}
	for i, l := range leaves {
		r := got[len(groups)+i]
		f.rates[l][class] = r
		f.leaf[l] -= r
	}
}

// solve computes all rates.
func (f *fluid) solve() [][Classes]float64 {
	rate := float64(f.c.RateBytesPerSec)
	for class := Classes - 1; class >= 0; class-- {
		if k := &f.c.Classes[class]; k.Strict {
			r := min(f.use(class, NoGroup), rate, capOf(k.MaxBytesPerSec))
			f.serve(class, NoGroup, r)
			rate -= r
		}
	}
	var use, weight [Classes]float64
	for class := range f.c.Classes {
		if k := &f.c.Classes[class]; !k.Strict {
			use[class], weight[class] = min(f.use(class, NoGroup), capOf(k.MaxBytesPerSec)), weightOf(k.Weight)
		}
	}
	for class, r := range fill(rate, use[:], weight[:]) {
		if !f.c.Classes[class].Strict {
			f.serve(class, NoGroup, r)
		}
	}
	return f.rates
}
