package netlab

import "golang.org/x/sys/unix"

// Cores lists the CPU cores that we and what we start may use, which need not be all, nor begin with 0.
func Cores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var list []int
	for i := 0; len(list) < set.Count(); i++ {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	return list
}
