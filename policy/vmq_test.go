package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// balanced gives up0 of the good configuration queues and a mode, and the workers limits.
func balanced(dataplane, uplink string) edits {
	return edits{"host: {name: host-a}\n", "host: {name: host-a}\ndataplane: {" + dataplane + "}\n", "{name: up0, ", "{name: up0, " + uplink + ", "}
}

func TestVMQRefusals(t *testing.T) {
	refuse(t, []refusal{
		{"thresholds crossed over", balanced("vmq: {upper: 40%, lower: 60%}", "queues: 2"), []string{
			"2: dataplane: vmq.lower is 60%, not below vmq.upper, which is 40%: workers would be emptied and relieved in turns (lower vmq.lower, or raise vmq.upper)",
		}},
		{"a threshold crossed over with a default", balanced("vmq: {upper: 50%}", "queues: 2"), []string{
			"2: dataplane: vmq.lower is 50%, not below vmq.upper, which is 50%: workers would be emptied and relieved in turns (lower vmq.lower, or raise vmq.upper)",
		}},
		{"thresholds too near", balanced("vmq: {upper: 58%}", "queues: 2"), []string{
			"2: dataplane: vmq.lower is 50%, too near to vmq.upper, which is 58%: what empties a worker would fill another (leave 10% between them)",
		}},
		{"limits that contradict themselves", balanced("vmq: {upper: 9%, lower: off, minGain: 11%, interval: 10s}", "queues: 2"), []string{
			"2: dataplane: vmq.upper is 9%: every worker would be too busy (use 10% to 100%)",
			"2: dataplane: vmq.minGain is 11%: hardly a move would be worth it (use 1% to 10%)",
			"2: dataplane: vmq.residence is 5s, shorter than vmq.interval, which is 10s (raise vmq.residence, or lower vmq.interval)",
		}},
		{"limits out of range", balanced("vmq: {upper: 0%, minGain: 2, interval: 1ms, moves: 0, residence: 2h, speed: 1}", "queues: 2"), []string{
			`2: dataplane: vmq.upper is "0%", out of its range (write a share from 1% to 100%)`,
			`2: dataplane: vmq.minGain is "2", which has no unit (write for example 2%)`,
			`2: dataplane: vmq.interval is 1ms, out of its range (use 50ms to 1m)`,
			`2: dataplane: vmq.moves is "0", out of its range (write a whole number from 1 to 256)`,
			`2: dataplane: vmq.residence is 2h, out of its range (use 50ms to 1h)`,
			`2: dataplane: unknown key "vmq.speed" (the keys are: upper, lower, minGain, interval, moves, residence, calm)`,
		}},
		{"a mode that there is not", balanced("workers: 2", "queues: 2, vmq: {mode: statik}"), []string{
			`4: uplink up0: vmq.mode is "statik" (did you mean static? use dynamic, static or off)`,
		}},
		{"workers in another mode", balanced("workers: 2", "queues: 2, vmq: {workers: [0, 1]}"), []string{
			"4: uplink up0: vmq.workers says where queues stay, and in mode dynamic nothing is said by hand (add mode: static, or leave workers out)",
		}},
		{"workers that do not exist", balanced("workers: 2", "queues: 3, vmq: {mode: static, workers: [0, 2, x]}"), []string{
			"4: uplink up0: worker 2 does not exist: dataplane asks for 2 (use 0 to 1, or ask for more workers)",
			`4: uplink up0: vmq.workers[2] is "x", not a whole number (write a whole number from 0 to 255)`,
		}},
		{"workers for other queues", append(balanced("cores: [1, 2]", "queues: 4, vmq: {mode: static, workers: [0, 1]}"), "{name: red-vm1, ", "{name: red-vm1, vmq: {mode: static, workers: [3]}, "), []string{
			"4: uplink up0: vmq.workers lists 2, and the port has queues: 4 (list one worker for each queue)",
			"7: vport red-vm1: worker 3 does not exist: dataplane asks for 2 (use 0 to 1, or ask for more workers)",
		}},
	})
}

func TestVMQ(t *testing.T) {
	c := parsed(t, spoil(t, append(balanced("workers: 2, vmq: {upper: 90%, interval: 100ms}", "queues: 2, vmq: {mode: static, workers: [1, 0]}"),
		"{name: red-vm1, ", "{name: red-vm1, vmq: {mode: off}, ")))
	assert.Equal(t, VMQLimits{Upper: 90, Lower: 50, MinGain: 2, Interval: 100 * time.Millisecond, Moves: 8, Residence: 5 * time.Second, Calm: 10 * time.Second}, c.Dataplane.VMQ)
	assert.Equal(t, VMQConfig{Mode: VMQStatic, Workers: []int{1, 0}}, c.Uplinks[0].VMQ)
	assert.Equal(t, VMQConfig{Mode: VMQDynamic}, c.Uplinks[1].VMQ)
	assert.Equal(t, VMQOff, c.Vports[0].VMQ.Mode)
	var got []string
	for _, change := range Diff(parsed(t, spoil(t, balanced("workers: 2", "queues: 2"))), c) {
		got = append(got, change.Effect.String()+": "+change.String())
	}
	assert.Equal(t, []string{
		"policy: modify dataplane: vmq upper 80% lower 50% minGain 2% interval 250ms moves 8 residence 5s calm 10s -> upper 90% lower 50% minGain 2% interval 100ms moves 8 residence 5s calm 10s",
		"policy: modify uplink up0: vmq dynamic -> static at workers 1 0",
		"policy: modify vport red-vm1: vmq dynamic -> off",
	}, got)
}
