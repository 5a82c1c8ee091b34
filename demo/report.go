package demo

import (
	"os"
	"os/exec"
	"path/filepath"
)

// Report is what the demo has found out.
type Report struct {
	Passed   bool       `json:"passed"`
	Hosts    []HostInfo `json:"hosts"`
	Tenants  []string   `json:"tenants"`
	Checks   []Check    `json:"checks"`
	Wire     Wire       `json:"wire"`
	Counters []Balance  `json:"counters"`
	Seconds  float64    `json:"seconds"`
	Kept     bool       `json:"kept"`

	command string // how a person calls us
}

// HostInfo is one of the demo's hosts.
type HostInfo struct {
	Name            string   `json:"name"`
	ProviderAddress string   `json:"providerAddress"`
	Socket          string   `json:"socket"`
	Namespace       string   `json:"namespace"`
	VMs             []VMInfo `json:"vms"`
}

// VMInfo is a virtual machine of the demo.
type VMInfo struct {
	Name    string `json:"name"`
	Tenant  string `json:"tenant"`
	Address string `json:"address"`
	VSID    uint32 `json:"vsid"`
	// ProviderAddress is the VM's own, by IP rewrite; empty by NVGRE.
	ProviderAddress string `json:"providerAddress,omitempty"`
	MAC             string `json:"mac"`
	Namespace       string `json:"namespace"`
}

// Check is one question, asked for every tenant or once for all.
type Check struct {
	What    string `json:"what"`
	Answers []Cell `json:"answers"`
}

// Cell is the answer for one tenant; Tenant is empty in an answer for all. Text is what was seen.
type Cell struct {
	Tenant string `json:"tenant,omitempty"`
	Passed bool   `json:"passed"`
	Text   string `json:"text"`
	Note   string `json:"note,omitempty"` // what to know about an answer that is doubtful or failed

	RoundTripMillis float64 `json:"roundTripMillis,omitempty"`
	TTL             int     `json:"ttl,omitempty"`
	BitsPerSecond   float64 `json:"bitsPerSecond,omitempty"`
	LossPercent     float64 `json:"lossPercent,omitempty"`
}

func newReport(s *stage) *Report {
	r := &Report{Tenants: s.plan.tenants, command: ourName(s.opts.Reaper[0])}
	for i := range s.plan.hosts {
		h := &s.plan.hosts[i]
		info := HostInfo{Name: h.Name, ProviderAddress: h.PA.Addr().String(), Socket: h.Socket, Namespace: prefix + h.Name}
		for _, v := range s.plan.vms {
			if v.Host == i {
				machine := VMInfo{Name: v.Name, Tenant: v.Tenant, Address: v.CA.String(), VSID: v.VSID, MAC: v.MAC, Namespace: prefix + v.Namespace}
				if v.PA.IsValid() {
					machine.ProviderAddress = v.PA.String()
				}
				info.VMs = append(info.VMs, machine)
			}
		}
		r.Hosts = append(r.Hosts, info)
	}
	return r
}

// ourName is what to type to call the program self: its short name when PATH leads to it, else its path.
func ourName(self string) string {
	name := filepath.Base(self)
	if found, err := exec.LookPath(name); err == nil {
		a, errA := os.Stat(found)
		b, errB := os.Stat(self)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return name
		}
	}
	return self
}

// finish draws the conclusion: everything that was asked must have been answered well.
func (r *Report) finish() {
	r.Passed = len(r.Checks) > 0 && len(r.Counters) > 0
	for i := range r.Checks {
		for j := range r.Checks[i].Answers {
			r.Passed = r.Passed && r.Checks[i].Answers[j].Passed
		}
	}
	for i := range r.Counters {
		r.Passed = r.Passed && r.Counters[i].Holds
	}
}
