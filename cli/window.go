package cli

import (
	"context"
	"time"
)

// Sample asks twice, an interval apart. With interval 0 it asks once, and before is nil.
func Sample[T any](ctx context.Context, interval time.Duration, ask func(context.Context) (*T, error)) (before, now *T, err error) {
	if interval > 0 {
		if before, err = ask(ctx); err != nil {
			return nil, nil, err
		}
		if err = Pause(ctx, interval); err != nil {
			return nil, nil, err
		}
	}
	now, err = ask(ctx)
	return before, now, err
}

// Pause waits, or ends early with the context's error.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// window is the time between two samples, 0 without a first or when the daemon restarted between them.
type window struct{ seconds float64 }

func newWindow(beforeNS, nowNS uint64) window {
	if beforeNS == 0 || nowNS <= beforeNS {
		return window{}
	}
	return window{nanoseconds(nowNS - beforeNS).Seconds()}
}

// rate is what a counter grew per second; nil without a window, or when the counter began anew within it.
func (w window) rate(before, now uint64) *float64 {
	if w.seconds == 0 || now < before {
		return nil
	}
	r := float64(now-before) / w.seconds
	return &r
}
