package profile

import (
	"errors"
	"fmt"
	"math"
	"time"

	"go.yaml.in/yaml/v3"
)

// Phase is a time in which each VM's traffic comes at a rate of its own.
type Phase struct {
	For time.Duration `json:"forNs"`
	VMs []float64     `json:"vms"` // packets a second as parts of what one worker forwards of this traffic
}

// Offered is the load of all VMs together, in workers.
func (p *Phase) Offered() (sum float64) {
	for _, v := range p.VMs {
		sum += v
	}
	return sum
}

// load reads a list of phases: {for: 2s, vms: [95%, 5%]}.
func (d *decoder) load(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return errors.New("want a list of phases: [{for: 2s, vms: [95%, 5%]}]")
	}
	for i, item := range n.Content {
		p, err := phaseOf(item)
		if err != nil {
			return fmt.Errorf("phase %d: %w", i+1, err)
		}
		d.profile.Load = append(d.profile.Load, p)
	}
	return nil
}

func phaseOf(n *yaml.Node) (p Phase, err error) {
	if n.Kind != yaml.MappingNode || len(n.Content) != 4 {
		return p, errors.New("want {for: <time>, vms: [<percent of a worker for each VM>]}")
	}
	for i := 0; i < len(n.Content) && err == nil; i += 2 {
		switch value := n.Content[i+1]; n.Content[i].Value {
		case "for":
			err = duration(&p.For)(value)
		case "vms":
			p.VMs = make([]float64, len(value.Content))
			for j, item := range value.Content {
				if err = percent(&p.VMs[j])(item); err != nil {
					break
				}
			}
		default:
			err = fmt.Errorf("unknown key %q: there are for and vms", n.Content[i].Value)
		}
	}
	return p, err
}

const maxLoad = 4 // workers, of one VM

func (d *decoder) checkLoad() {
	p := d.profile
	if len(p.Load) == 0 {
		return
	}
	if p.Direction != Encap && p.Direction != Decap {
		d.at("load", fmt.Sprintf("direction %s has no queue for each VM", p.Direction), "choose %s or %s, or remove it", Encap, Decap)
	}
	if !p.Rate.Max() {
		d.at("load", "rate is given too", "keep one of them")
	}
	for i, phase := range p.Load {
		if n := p.Tenants * p.VMs; len(phase.VMs) != n {
			d.at("load", fmt.Sprintf("phase %d has %d rates for %d VMs", i+1, len(phase.VMs), n), "give one for each VM here")
		}
		if phase.For < minDuration || phase.For > maxDuration {
			d.at("load", fmt.Sprintf("phase %d for %s cannot be measured", i+1, phase.For), "choose %s to %s", minDuration, maxDuration)
		}
		for _, v := range phase.VMs {
			if v < 0 || v > maxLoad || math.IsNaN(v) {
				d.at("load", fmt.Sprintf("phase %d: %g%%", i+1, 100*v), "choose 0%% to %d%%", 100*maxLoad)
			}
		}
	}
}
