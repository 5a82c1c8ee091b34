package profile

import (
	"fmt"
	"slices"
	"strings"
)

// FCS says whether a size of a profile counts the frame check sequence. Devices of DPDK neither get nor give it: a frame
// of 64 bytes with it is one of 60 there.
type FCS string

// Values of FCS.
const (
	FCSIncluded FCS = "included"
	FCSExcluded FCS = "excluded"
)

// FCSBytes is the size of the frame check sequence.
const FCSBytes = 4

// overhead is what a frame without FCS takes on a wire beside itself: FCS, preamble with start delimiter, and gap.
const overhead = FCSBytes + 8 + 12

// WireBytes is the time that a frame without FCS takes on a wire, in bytes.
func WireBytes(frame int) int { return frame + overhead }

// Size is one of a mix of frame sizes.
type Size struct {
	Bytes  int // of a VM's frame without FCS
	Weight int
}

// imixes are the mixes of sizes by name, in bytes with FCS. Simple IMIX is that of the makers of testers: 7 : 4 : 1.
var imixes = map[string][]Size{"simple": {{64, 7}, {594, 4}, {1518, 1}}}

// Sizes are the sizes of the VMs' frames, without FCS.
func (p *Profile) Sizes() []Size {
	sizes := []Size{{p.FrameBytes, 1}}
	if p.IMIX != "" {
		sizes = slices.Clone(imixes[p.IMIX])
	}
	if p.FCS == FCSIncluded {
		for i := range sizes {
			sizes[i].Bytes -= FCSBytes
		}
	}
	return sizes
}

// MeanBytes is the mean size of the VMs' frames, without FCS.
func (p *Profile) MeanBytes() float64 {
	sum, weights := 0, 0
	for _, s := range p.Sizes() {
		sum += s.Bytes * s.Weight
		weights += s.Weight
	}
	return float64(sum) / float64(weights)
}

// MaxBytes is the size of the largest of the VMs' frames, without FCS.
func (p *Profile) MaxBytes() int {
	return slices.MaxFunc(p.Sizes(), func(a, b Size) int { return a.Bytes - b.Bytes }).Bytes
}

// FrameText says the sizes in words, as the profile counts them.
func (p *Profile) FrameText() string {
	text := fmt.Sprintf("%d-byte frames", p.FrameBytes)
	if p.IMIX != "" {
		var sizes, weights []string
		for _, s := range imixes[p.IMIX] {
			sizes, weights = append(sizes, fmt.Sprint(s.Bytes)), append(weights, fmt.Sprint(s.Weight))
		}
		text = fmt.Sprintf("%s IMIX of %s-byte frames (%s)", p.IMIX, strings.Join(sizes, ", "), strings.Join(weights, " : "))
	}
	if p.FCS == FCSIncluded {
		return text + " with FCS"
	}
	return text + " without FCS"
}

// checkFrames reports whether the sizes make sense.
func (d *decoder) checkFrames() bool {
	p := d.profile
	_, known := imixes[p.IMIX]
	fewest, most := minWire-FCSBytes, maxWire-FCSBytes
	if p.FCS == FCSIncluded {
		fewest, most = minWire, maxWire
	}
	switch {
	case p.FCS != FCSIncluded && p.FCS != FCSExcluded:
		d.at("fcs", fmt.Sprintf("%q says nothing", string(p.FCS)), "it is %s or %s: whether the sizes count it", FCSIncluded, FCSExcluded)
	case p.IMIX != "" && !known:
		d.at("frameBytes", fmt.Sprintf("there is no IMIX %q", p.IMIX), "there is: simple")
	case p.IMIX != "" && p.FCS != FCSIncluded:
		d.at("fcs", "the sizes of an IMIX count the FCS", "write fcs: %s", FCSIncluded)
	case p.IMIX == "" && (p.FrameBytes < fewest || p.FrameBytes > most):
		d.at("frameBytes", fmt.Sprintf("%d bytes are no Ethernet frame", p.FrameBytes), "choose %d to %d with FCS %s", fewest, most, p.FCS)
	default:
		return true
	}
	return false
}
