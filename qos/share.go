package qos

// Shares: a minimum is a part of what its class (or group) is sure to get, and what minimums leave is divided by weight
// among those without one. Of a class that is sure of less than the minimums of all vports, which may well send in other
// classes, those without a minimum keep a tenth, if the link has as much for them. They always keep 1/128, so that none
// starves. All become quanta of round robin: what somebody does not use goes to the others in proportion.
const (
	leftover      = 1.0 / 128
	weightedPart  = 1.0 / 10
	baseQuantum   = fullFrame // of the smallest share, where shares differ little
	maxQuantum    = 16 << 10  // of the largest share: nobody sends more at once
	minClassTurn  = 2 * fullFrame
	maxClassTurn  = 16 << 10
	classTurnRate = 100_000 // turns a second of the heaviest class: 10 µs
	creditUnit    = 1 << creditShift
)

// member is what divides a node: its minimum, or its weight.
type member struct {
	minimum float64 // bytes a second
	weight  float64
}

// division is how the members of one node share it.
type division struct {
	whole    float64 // bytes a second, if its class had the link for itself
	sure     float64 // bytes a second, if all classes are busy
	minimums float64
	weights  float64
	least    float64 // shares of its members
	most     float64
}

func (d *division) add(m member) {
	if m.minimum > 0 {
		d.minimums += m.minimum
	} else {
		d.weights += m.weight
	}
}

// basis is the rate of which minimums are parts.
func (d *division) basis() float64 {
	if d.weights == 0 {
		return max(d.sure, d.minimums)
	}
	weighted := max(leftover, min(weightedPart, 1-d.minimums/d.whole))
	return max(d.sure, d.minimums/(1-weighted))
}

func (d *division) share(m member) float64 { return d.shareOf(m, d.basis()) }

func (d *division) shareOf(m member, basis float64) float64 {
	if m.minimum > 0 {
		return m.minimum / basis
	}
	return max(leftover, 1-d.minimums/basis) * m.weight / max(d.weights, m.weight)
}

// within is the division of a member, by its share of d.
func (d *division) within(m member, share float64) (whole, sure float64) {
	if m.minimum > 0 {
		return m.minimum, max(1, share*d.sure)
	}
	return max(1, d.shareOf(m, max(d.whole, d.minimums))*d.whole), max(1, share*d.sure)
}

func (d *division) see(share float64) {
	if d.most == 0 {
		d.least = share
	}
	d.least, d.most = min(d.least, share), max(d.most, share)
}

// quantum is a member's, in credits, by its share.
func (d *division) quantum(share float64) uint32 {
	largest := min(maxQuantum, baseQuantum*d.most/d.least)
	return uint32(max(1, largest*share/d.most*creditUnit+0.5))
}

func weightOf(weight uint32) float64 { return float64(max(weight, 1)) }

// sureRates is what each class gets when all are busy. Strict classes without a maximum may take all, and are not counted
// on to.
func (c *Config) sureRates() (sure [Classes]float64) {
	rest := float64(c.RateBytesPerSec)
	var weights float64
	for i := range c.Classes {
		k := &c.Classes[i]
		if !k.Strict {
			weights += weightOf(k.Weight)
		} else if k.MaxBytesPerSec != 0 {
			rest -= float64(k.MaxBytesPerSec)
		}
	}
	rest = max(rest, float64(c.RateBytesPerSec)/1000)
	for i := range c.Classes {
		k := &c.Classes[i]
		if k.Strict {
			sure[i] = float64(c.RateBytesPerSec)
		} else {
			sure[i] = rest * weightOf(k.Weight) / weights
		}
		if k.MaxBytesPerSec != 0 {
			sure[i] = min(sure[i], float64(k.MaxBytesPerSec))
		}
	}
	return sure
}

// classQuanta gives ETS classes their turns: the heaviest sends for 10 µs of the link at once.
func (c *Config) classQuanta() (quanta [Classes]int64) {
	turn := float64(maxClassTurn)
	if c.RateBytesPerSec != 0 {
		turn = min(max(float64(c.RateBytesPerSec)/classTurnRate, minClassTurn), maxClassTurn)
	}
	var most float64
	for i := range c.Classes {
		if !c.Classes[i].Strict {
			most = max(most, weightOf(c.Classes[i].Weight))
		}
	}
	for i := range c.Classes {
		if !c.Classes[i].Strict {
			quanta[i] = max(1, int64(turn*creditUnit*weightOf(c.Classes[i].Weight)/most))
		}
	}
	return quanta
}

// shares is what a configuration says of shares.
type shares struct {
	c    *Config
	need []uint64 // what each group must get
}

func newShares(c *Config) shares { return shares{c, c.minimums()} }

func (x shares) leaf(i int) member {
	c := x.c
	return member{float64(c.Leaves[i].MinBytesPerSec), weightOf(c.Leaves[i].Weight)}
}

// group counts what a group's members were promised as promised to the group.
func (x shares) group(i int) member {
	return member{float64(x.need[i]), weightOf(x.c.Groups[i].Weight)}
}

// divisions are how a class that is sure of a rate is divided: by group, and the last one is the class itself.
func (x shares) divisions(sure float64) []division {
	c := x.c
	root := len(c.Groups)
	d := make([]division, root+1)
	for i := range c.Groups {
		d[nodeOf(c.Groups[i].Parent, root)].add(x.group(i))
	}
	for i := range c.Leaves {
		d[nodeOf(c.Leaves[i].Group, root)].add(x.leaf(i))
	}
	d[root].sure, d[root].whole = max(sure, 1), max(1, float64(c.RateBytesPerSec))
	for i := range c.Groups {
		g := &c.Groups[i]
		parent := &d[nodeOf(g.Parent, root)]
		share := parent.share(x.group(i))
		parent.see(share)
		d[i].whole, d[i].sure = parent.within(x.group(i), share)
		if g.MaxBytesPerSec != 0 {
			d[i].sure = min(d[i].sure, float64(g.MaxBytesPerSec))
		}
	}
	for i := range c.Leaves {
		node := &d[nodeOf(c.Leaves[i].Group, root)]
		node.see(node.share(x.leaf(i)))
	}
	return d
}

func nodeOf(group int32, root int) int {
	if group == NoGroup {
		return root
	}
	return int(group)
}

// divide computes the quanta of all entities of one class.
func (p *Plan) divide(x shares, class uint8, sure float64) {
	c, d := x.c, x.divisions(sure)
	root := len(c.Groups)
	for i := range c.Groups {
		parent := &d[nodeOf(c.Groups[i].Parent, root)]
		p.ents[p.groupID(class, i)].quantum = parent.quantum(parent.share(x.group(i)))
	}
	for i := range c.Leaves {
		node := &d[nodeOf(c.Leaves[i].Group, root)]
		p.ents[queueID(class, uint32(i))].quantum = node.quantum(node.share(x.leaf(i)))
	}
	orphan := uint32(creditUnit)
	if d[root].most > 0 {
		orphan = d[root].quantum(max(d[root].share(member{weight: 1}), d[root].least))
	}
	for i := len(c.Leaves); i < p.leaves; i++ {
		p.ents[queueID(class, uint32(i))].quantum = orphan
	}
}
