package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/packet"
)

// Readers of single values.

// clip repeats a value in a remedy, when it is short and plain enough for that.
func clip(s string) string {
	if len(s) > 40 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "..."
	}
	return s
}

// scalar is the text of a plain or quoted value; ok is false, and a problem reported, for anything else.
func (v value) scalar(want string) (s string, ok bool) {
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() == "!!null" {
		v.fail("is "+kindOf(v.node)+", not "+want, "write "+v.key+": <"+want+">")
		return "", false
	}
	if strings.ContainsFunc(v.node.Value, unicode.IsControl) {
		v.fail("holds a control character", "write it in one line of printable characters")
		return "", false
	}
	return v.node.Value, true
}

// text reads words: what YAML takes for a number or a truth value needs quotes.
func text(dst *string) reader {
	return func(v value) {
		s, ok := v.scalar("text")
		if !ok {
			return
		}
		if tag := v.node.ShortTag(); tag == "!!int" || tag == "!!float" || tag == "!!bool" {
			v.fail("is "+shown(s)+", which YAML does not take for text", "put it in quotes")
			return
		}
		if s == "" {
			v.fail("is empty", "give a value, or leave the key out")
			return
		}
		*dst = s
	}
}

// choice reads one of a few words.
func choice(dst *string, words ...string) reader {
	return func(v value) {
		s, ok := v.scalar("text")
		if ok && !slices.Contains(words, s) {
			remedy := "use " + oneOf(words)
			if guess := closest(s, words); guess != "" {
				remedy = "did you mean " + guess + "? " + remedy
			}
			v.fail("is "+shown(s), remedy)
			return
		}
		*dst = s
	}
}

// oneOf lists words for a remedy.
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// number reads a whole number from low to high.
func number[T int | uint16 | uint32](dst *T, low, high uint64) reader {
	return func(v value) {
		if n, ok := v.whole(low, high, fmt.Sprintf("write a whole number from %d to %d", low, high)); ok {
			*dst = T(n)
		}
	}
}

// whole is the value as a whole number from low to high; ok is false, and a problem reported, for anything else.
func (v value) whole(low, high uint64, remedy string) (n uint64, ok bool) {
	s, ok := v.scalar("whole number")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 0, 64)
	digits := isDigits(strings.TrimPrefix(s, "-"))
	switch {
	case v.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		v.fail("is text, not a number", "leave the quotes out")
	case len(s) > 1 && s[0] == '0' && isDigits(s[1:]):
		v.fail("is "+shown(s)+", which could be meant as octal", "leave the leading zeros out")
	case err != nil && !digits && !errors.Is(err, strconv.ErrRange):
		v.fail("is "+shown(s)+", not a whole number", remedy)
	case err != nil || n < low || n > high:
		v.fail("is "+shown(s)+", out of its range", remedy)
	default:
		return n, true
	}
	return 0, false
}

// boolean reads true or false.
func boolean(dst *bool) reader {
	return func(v value) {
		if s, ok := v.scalar("true or false"); ok {
			if v.node.ShortTag() != "!!bool" {
				v.fail("is "+shown(s)+", not true or false", "write true or false, without quotes")
				return
			}
			*dst = strings.EqualFold(s, "true")
		}
	}
}

// duration reads a time span with its unit.
func duration(dst *time.Duration, low, high time.Duration) reader {
	return func(v value) {
		s, ok := v.scalar("time with a unit")
		if !ok {
			return
		}
		d, err := time.ParseDuration(s)
		switch {
		case err != nil && isDigits(s):
			v.fail("is "+shown(s)+", which has no unit",
				"write for example "+withUnit(s, high)+"; units are us, ms, s, m, h")
		case err != nil:
			v.fail("is "+shown(s)+", not a time", "write a number and a unit, for example 100us, 20ms, 60s, 5m")
		case d < low || d > high:
			v.fail("is "+s+", out of its range", fmt.Sprintf("use %s to %s", brief(low), brief(high)))
		default:
			*dst = d
		}
	}
}

// isDigits reports a decimal number without sign and fraction.
func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// withUnit gives a bare number the unit that is most likely meant: the largest of which it is not too much.
func withUnit(s string, high time.Duration) string {
	for _, unit := range []string{"s", "ms"} {
		if d, err := time.ParseDuration(s + unit); err == nil && d <= high {
			return s + unit
		}
	}
	return clip(s) + "us"
}

// brief writes a duration without its zero parts: 5m, not 5m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// share reads a part of a whole in percent.
func share(dst *uint8) reader {
	return func(v value) {
		s, ok := v.scalar("share")
		if !ok {
			return
		}
		digits, marked := strings.CutSuffix(s, "%")
		n, err := strconv.ParseUint(digits, 10, 8)
		switch {
		case !marked && isDigits(s):
			v.fail("is "+shown(s)+", which has no unit", "write for example "+clip(s)+"%")
		case !marked || !isDigits(digits):
			v.fail("is "+shown(s)+", not a share", "write a whole number and a percent sign, for example 10%")
		case err != nil || n < 1 || n > 100:
			v.fail("is "+shown(s)+", out of its range", "write a share from 1% to 100%")
		default:
			*dst = uint8(n)
		}
	}
}

// percent writes a share as one would in the file.
func percent(n uint8) string { return strconv.Itoa(int(n)) + "%" }

// hardwareAddr reads an Ethernet address that a station may have.
func hardwareAddr(dst *packet.MAC) reader {
	return func(v value) {
		s, ok := v.scalar("Ethernet address")
		if !ok {
			return
		}
		m, err := packet.ParseMAC(s)
		switch {
		case err != nil:
			v.fail("is "+shown(s)+", not an Ethernet address", "write six bytes, for example 00:15:5d:00:01:05")
		case m.IsZero():
			v.fail("is all zero, which no station may use", "use an address of the VM's own, for example 02:00:00:00:00:01")
		case m.IsGroup():
			v.fail("is "+m.String()+", a group address", fmt.Sprintf("make the first byte even, for example %02x", m[0]&^1))
		default:
			*dst = m
		}
	}
}

// address reads an IP address without a prefix length.
func address(dst *netip.Addr) reader {
	return func(v value) {
		s, ok := v.scalar("IP address")
		if !ok {
			return
		}
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil && strings.Contains(s, "/"):
			v.fail("is "+shown(s)+", not an IP address", "leave the prefix length out")
		case err != nil:
			v.fail("is "+shown(s)+", not an IP address", "write for example 10.0.0.5 or 2001:db8::5")
		case a.Zone() != "":
			v.fail("is "+shown(s)+", with a zone", "leave out what follows the %")
		case a.Is4In6():
			v.fail("is "+shown(s)+", IPv4 in the form of IPv6", "write "+a.Unmap().String())
		case a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a == broadcast4:
			v.fail("is "+a.String()+", which no host may have", "use a unicast address")
		default:
			*dst = a
		}
	}
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// network reads an IP prefix; hostBits says whether it may carry the address of a host.
func network(dst *netip.Prefix, hostBits bool) reader {
	return func(v value) {
		s, ok := v.scalar("IP prefix")
		if !ok {
			return
		}
		p, err := netip.ParsePrefix(s)
		if a, errAddr := netip.ParseAddr(s); err != nil && errAddr == nil && a.Zone() == "" {
			v.fail("is "+shown(s)+", without a prefix length", fmt.Sprintf("write for example %s/%d", s, a.BitLen()*3/4))
			return
		}
		switch {
		case err != nil:
			v.fail("is "+shown(s)+", not an IP prefix", "write for example 10.0.0.0/24 or 2001:db8:1::/64")
		case p.Addr().Is4In6():
			v.fail("is "+shown(s)+", IPv4 in the form of IPv6", "write it as IPv4, for example 10.0.0.0/24")
		case !hostBits && p != p.Masked():
			v.fail("is "+s+", an address inside the prefix", "write "+p.Masked().String())
		default:
			*dst = p
		}
	}
}
