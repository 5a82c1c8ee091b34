package vmqsim

import (
	"cmp"
	"container/heap"
	"slices"
)

// bound is a load that the busiest of so many workers has at least, however queues are assigned: it is neither below the
// mean, nor below the greatest queue, nor below two of the greatest queues that must meet because there are more of them
// than workers. All is reckoned as if every queue were on the node of its device.
func bound(demand []float64, workers int) (least float64, byMean bool) {
	sum, order := 0.0, slices.Clone(demand)
	for _, d := range demand {
		sum += d
	}
	slices.SortFunc(order, func(x, y float64) int { return cmp.Compare(y, x) })
	mean := sum / float64(workers)
	least = max(mean, order[0])
	if len(order) > workers {
		least = max(least, order[workers-1]+order[workers])
	}
	return least, least == mean
}

// longestFirst is the load of the busiest worker if all queues were assigned anew in this step by what they ask for in it,
// the greatest first, each to the least loaded worker (LPT): no more than 4/3 of the best there is.
func longestFirst(demand []float64, workers int) (most float64) {
	order := slices.Clone(demand)
	slices.SortFunc(order, func(x, y float64) int { return cmp.Compare(y, x) })
	loads := make(least, workers)
	for _, d := range order {
		loads[0] += d
		most = max(most, loads[0])
		heap.Fix(&loads, 0)
	}
	return most
}

// least is a heap of loads, the smallest first.
type least []float64

func (l least) Len() int           { return len(l) }
func (l least) Less(i, j int) bool { return l[i] < l[j] }
func (l least) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *least) Push(any)          {}
func (l *least) Pop() any          { return nil }

// late is how loaded the busiest worker is if all queues are assigned anew in every step, the greatest first, by what they
// asked for a while ago: what nobody can know earlier costs that much, however many queues he may move.
type late struct {
	delay int // steps
	past  [][]float64
	order []int
	is    []float64 // what each worker is asked for now
}

func (l *late) next(demand []float64, workers int) (most float64) {
	l.past = append(l.past, slices.Clone(demand))
	if len(l.past) > l.delay+1 {
		l.past = l.past[1:]
	}
	known := l.past[0]
	if l.order == nil {
		l.order = make([]int, len(demand))
		for i := range l.order {
			l.order[i] = i
		}
		l.is = make([]float64, workers)
	}
	slices.SortStableFunc(l.order, func(x, y int) int { return cmp.Compare(known[y], known[x]) })
	clear(l.is)
	workersByLoad := make(ranked, workers)
	for w := range workersByLoad {
		workersByLoad[w].worker = w
	}
	for _, q := range l.order {
		w := &workersByLoad[0]
		w.load += known[q]
		l.is[w.worker] += demand[q]
		most = max(most, l.is[w.worker])
		heap.Fix(&workersByLoad, 0)
	}
	return most
}

// ranked is a heap of workers, the least loaded first.
type ranked []struct {
	load   float64
	worker int
}

func (r ranked) Len() int           { return len(r) }
func (r ranked) Less(i, j int) bool { return r[i].load < r[j].load }
func (r ranked) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *ranked) Push(any)          {}
func (r *ranked) Pop() any          { return nil }
