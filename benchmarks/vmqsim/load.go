package vmqsim

import (
	"math"
	"math/rand/v2"
	"time"
)

// Step is the time between two samples.
const Step = 125 * time.Millisecond

// Scenario says what load there is.
type Scenario struct {
	Name    string        `json:"name"`
	Says    string        `json:"says"` // for people
	Cores   int           `json:"cores"`
	Nodes   int           `json:"nodes"`
	VMs     int           `json:"vms"`
	Uplinks int           `json:"uplinkQueues"` // receive queues of all uplinks together
	Time    time.Duration `json:"time"`
	Mean    float64       `json:"meanLoad"` // of all cores, over the whole time
	Tail    float64       `json:"tail"`     // exponent of the Pareto distribution of VMs' loads: the smaller, the fewer do most of the work
	Most    float64       `json:"mostLoad"` // of one queue, as share of a core
	Bursts  float64       `json:"bursts"`   // share of the load that comes in bursts
	Day     time.Duration `json:"day"`      // length of a day; 0: the base load stays
	Swing   float64       `json:"swing"`    // of the load over a day: 0.8 goes from 0.2 to 1.8 times the mean
	Shift   time.Duration `json:"shift"`    // after which other VMs are the busy ones; 0: never
	Noise   float64       `json:"noise"`    // standard deviation of a queue's load from step to step, as a part of it
	Seed    uint64        `json:"seed"`
}

const (
	inbound    = 0.35            // load that a VM makes at the uplinks, by the load at its own queue
	leastBurst = 4 * time.Second // that a burst lasts
	mostBurst  = 4 * time.Minute
	burstTail  = 1.3 // exponent of the distribution of bursts' lengths
	quietShare = 15  // a VM is quiet so many times as long as it bursts, on average
	warmUp     = 2 * time.Minute
)

// Bounds of a scenario's time. What happens before the balancers have settled does not count.
const (
	LeastTime = warmUp + time.Second
	MostTime  = 48 * time.Hour
)

// vm is what makes load: a base that follows the day, and bursts.
type vm struct {
	weight float64 // part of the load of all
	phase  float64 // of its day
	uplink int     // queue that its packets come in by
	until  time.Duration
	burst  float64 // load of the burst that lasts until then, or 0
}

// Load makes the demands of a scenario's queues, step by step: first the VMs' own queues, then those of the uplinks.
type Load struct {
	Demand []float64 // share of a core that each queue asks for now
	Node   []int     // of each queue
	s      Scenario
	rng    *rand.Rand
	vms    []vm
	order  []int // weight that each VM has now
	burst  float64
	base   float64
}

// NewLoad starts a scenario.
func NewLoad(s Scenario) *Load {
	l := &Load{s: s, rng: rand.New(rand.NewPCG(s.Seed, 0x5eed)), vms: make([]vm, s.VMs), order: make([]int, s.VMs)}
	l.Demand, l.Node = make([]float64, s.VMs+s.Uplinks), make([]int, s.VMs+s.Uplinks)
	sum := 0.0
	for i := range l.vms {
		v := &l.vms[i]
		v.weight = min(math.Pow(1-l.rng.Float64(), -1/s.Tail), 1000)
		v.phase = l.rng.NormFloat64() * 0.1 // tenants of one place have much the same day
		v.uplink = l.rng.IntN(max(s.Uplinks, 1))
		sum += v.weight
		l.order[i] = i
	}
	for i := range l.vms {
		l.vms[i].weight /= sum
		l.Node[i] = i % s.Nodes
	}
	for i := range s.Uplinks {
		l.Node[s.VMs+i] = i % s.Nodes
	}
	total := s.Mean * float64(s.Cores) / (1 + inbound)
	l.base, l.burst = total*(1-s.Bursts), total*s.Bursts
	return l
}

// Next makes the demands of the step that begins at a time.
func (l *Load) Next(at time.Duration) {
	if l.s.Shift > 0 && at > 0 && at%l.s.Shift == 0 {
		l.rng.Shuffle(len(l.order), func(i, j int) { l.order[i], l.order[j] = l.order[j], l.order[i] })
	}
	uplinks := l.Demand[l.s.VMs:]
	clear(uplinks)
	for i := range l.vms {
		v := &l.vms[i]
		load := l.base * l.vms[l.order[i]].weight * l.daily(at, v.phase)
		load = min(load+l.bursting(v, at), l.s.Most) * l.noise()
		l.Demand[i] = load
		if len(uplinks) > 0 {
			uplinks[v.uplink] += load * inbound
		}
	}
	for i := range uplinks {
		uplinks[i] = min(uplinks[i], l.s.Most)
	}
}

func (l *Load) daily(at time.Duration, phase float64) float64 {
	if l.s.Day == 0 {
		return 1
	}
	return 1 - l.s.Swing*math.Cos(2*math.Pi*(float64(at)/float64(l.s.Day)+phase))
}

func (l *Load) noise() float64 {
	if l.s.Noise == 0 {
		return 1
	}
	return max(1+l.s.Noise*l.rng.NormFloat64(), 0)
}

// bursting lets a VM begin and end bursts, whose lengths and heights are heavy-tailed.
func (l *Load) bursting(v *vm, at time.Duration) float64 {
	if l.burst == 0 {
		return 0
	}
	if at < v.until {
		return v.burst
	}
	mean := float64(leastBurst) * burstTail / (burstTail - 1) * 0.75 // the longest ones are cut, which shortens the mean
	if v.burst == 0 && v.until > 0 {
		length := math.Pow(1-l.rng.Float64(), -1/burstTail) * float64(leastBurst)
		v.until = at + time.Duration(min(length, float64(mostBurst))).Round(Step)
		height := math.Pow(1-l.rng.Float64(), -1/1.6) * 0.6 / 1.6
		v.burst = height * l.burst / float64(len(l.vms)) * (quietShare + 1)
		return v.burst
	}
	v.burst = 0
	v.until = at + max(time.Duration(l.rng.ExpFloat64()*quietShare*mean).Round(Step), Step)
	return 0
}
