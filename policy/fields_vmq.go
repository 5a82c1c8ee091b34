package policy

import (
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	minVMQInterval  = 50 * time.Millisecond
	maxVMQInterval  = time.Minute
	maxVMQMoves     = 256
	maxVMQResidence = time.Hour
)

func vmqLimitFields(l *VMQLimits) []field {
	return []field{
		{"upper", share(&l.Upper), ""},
		{"lower", shareOrOff(&l.Lower), ""},
		{"minGain", share(&l.MinGain), ""},
		{"interval", duration(&l.Interval, minVMQInterval, maxVMQInterval), ""},
		{"moves", number(&l.Moves, 1, maxVMQMoves), ""},
		{"residence", duration(&l.Residence, minVMQInterval, maxVMQResidence), ""},
		{"calm", duration(&l.Calm, 0, maxVMQResidence), ""},
	}
}

func vmqFields(q *VMQConfig) []field {
	return []field{
		{"mode", choice(&q.Mode, vmqModes...), ""},
		{"workers", list(&q.Workers, workerID), ""},
	}
}

// shareOrOff reads a share, or off for 0.
func shareOrOff(dst *uint8) reader {
	return func(v value) {
		if v.node.Kind == yaml.ScalarNode && v.node.Value == VMQOff {
			*dst = 0
			return
		}
		share(dst)(v)
	}
}

// badWorker stands for an entry of workers that could not be read.
const badWorker = -1

func workerID(dst *int) reader {
	*dst = badWorker
	return number(dst, 0, maxWorkers-1)
}
