package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// count writes a number with its thousands apart: 1,234,567.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// short writes a rate with three digits and a decimal prefix: 14.9M.
func short(v float64) string {
	units := []string{"", "k", "M", "G", "T", "P"}
	u := 0
	for v >= 999.5 && u < len(units)-1 {
		v /= 1000
		u++
	}
	switch {
	case v == 0:
		return "0"
	case v < 9.995:
		return trimZeros(strconv.FormatFloat(v, 'f', 2, 64)) + units[u]
	case v < 99.95:
		return trimZeros(strconv.FormatFloat(v, 'f', 1, 64)) + units[u]
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + units[u]
}

// decimal writes a number to be compared with its neighbours: one decimal, or a prefix from a thousand on.
func decimal(v float64) string {
	if v >= 999.95 {
		return short(v)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

func trimZeros(s string) string { return strings.TrimRight(strings.TrimRight(s, "0"), ".") }

// share writes a part of one as per cent.
func share(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + "%" }

// span writes a duration in its two largest units: 3d4h, 2h5m, 7m12s, 850ms.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(time.Second / 10).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// nanoseconds reads a duration off the API. No clock of a daemon counts past the bound.
func nanoseconds(ns uint64) time.Duration { return time.Duration(min(ns, math.MaxInt64)) }

// wallClock reads a point of time off the API, the zero time for 0.
func wallClock(unixNS uint64) *time.Time {
	if unixNS == 0 {
		return nil
	}
	t := time.Unix(0, int64(min(unixNS, math.MaxInt64))).UTC().Truncate(time.Second)
	return &t
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
