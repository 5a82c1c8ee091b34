package policy

import (
	"strings"
	"unicode"
)

const maxNameLen = 63

// nameProblem says why a name cannot be taken, "" when it can. Names appear in commands, metrics and logs, so they are
// words without blanks.
func nameProblem(s string) string {
	if s == "" || len(s) > maxNameLen {
		return "must have 1 to 63 characters"
	}
	for i, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case i > 0 && (r == '-' || r == '_' || r == '.'):
		default:
			return "may hold letters, digits, '-', '_' and '.', and begins with a letter or digit"
		}
	}
	return ""
}

// name reads the name of an object.
func name(dst *string) reader {
	return func(v value) {
		var s string
		text(&s)(v)
		if s == "" {
			return
		}
		if why := nameProblem(s); why != "" {
			v.fail("is "+shown(s), "a name "+why)
			return
		}
		*dst = s
	}
}

// maxInterfaceLen is IFNAMSIZ of the kernel without the final zero.
const maxInterfaceLen = 15

// interfaceProblem says why the kernel, or we, cannot take an interface name, "" when we can.
func interfaceProblem(s string) (what, remedy string) {
	switch {
	case len(s) > maxInterfaceLen:
		return "is longer than the 15 bytes that the kernel takes for an interface name", "shorten it"
	case s == "." || s == "..":
		return "cannot name an interface", "use another name"
	case strings.ContainsFunc(s, func(r rune) bool { return r == '/' || r == ':' || r == '%' || r == ',' || unicode.IsSpace(r) }):
		return "holds a character that an interface name cannot have", "leave out / : % , and blanks"
	}
	return "", ""
}

// interfaceName reads the name of a kernel interface.
func interfaceName(dst *string) reader {
	return func(v value) {
		var s string
		text(&s)(v)
		if what, remedy := interfaceProblem(s); what != "" {
			v.fail("is "+shown(s)+", which "+what, remedy)
			return
		}
		*dst = s
	}
}

// closest finds the word that s was probably meant to be, "" without one.
func closest(s string, words []string) string {
	if len(s) > maxNameLen {
		return ""
	}
	best, bestDistance := "", 3
	for _, w := range words {
		if strings.EqualFold(w, s) {
			return w
		}
		// A third of the letters may be wrong, else short words would stand for anything.
		d := distance(strings.ToLower(s), strings.ToLower(w))
		if d*3 <= len(w) && (d < bestDistance || d == bestDistance && len(w) == len(s)) {
			best, bestDistance = w, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, change or swap with their neighbour to make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
