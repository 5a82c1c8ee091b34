// Package control answers the control API from what an agent knows.
package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"connectrpc.com/connect"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/policy"
)

// Build says which program answers.
type Build struct {
	Version string // "v1.2.3", or "devel"
	Commit  string // empty when unknown
	Go      string
	DPDK    string // empty when the build has none
}

// Service implements the control API.
type Service struct {
	agent *agent.Agent
	build Build
	start time.Time
}

// New makes the Service of an agent, which may still be starting.
func New(a *agent.Agent, b Build) *Service { return &Service{agent: a, build: b, start: time.Now()} }

// sampled is the monotonic clock of all answers.
func (s *Service) sampled() uint64 { return uint64(time.Since(s.start)) }

// coded gives an error of the agent the code that clients tell apart.
func coded(err error) error {
	switch {
	case errors.Is(err, agent.ErrStopped):
		return connect.NewError(connect.CodeUnavailable, err)
	case errors.Is(err, agent.ErrRefused):
		return connect.NewError(connect.CodeFailedPrecondition, err)
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	}
	return connect.NewError(connect.CodeInternal, err)
}

func notFound(format string, args ...any) error {
	return connect.NewError(connect.CodeNotFound, fmt.Errorf(format, args...))
}

// GetVersion implements the control API.
func (s *Service) GetVersion(context.Context, *sluicev1.GetVersionRequest) (*sluicev1.GetVersionResponse, error) {
	return &sluicev1.GetVersionResponse{
		Version: s.build.Version, Commit: s.build.Commit, GoVersion: s.build.Go, DpdkVersion: s.build.DPDK,
	}, nil
}

// GetStatus implements the control API. It answers at any time, since it is what one asks when something is wrong.
func (s *Service) GetStatus(context.Context, *sluicev1.GetStatusRequest) (*sluicev1.GetStatusResponse, error) {
	res := &sluicev1.GetStatusResponse{
		SampledNs: s.sampled(), Pid: uint32(os.Getpid()), UptimeNs: uint64(s.agent.Uptime()), Version: s.build.Version,
	}
	if err := s.agent.Ready(); err != nil {
		res.NotReadyReason = err.Error()
	}
	res.Ready = res.NotReadyReason == ""
	r := s.agent.Running()
	if r == nil {
		return res, nil
	}
	res.Host, res.Revision, res.ConfigFile, res.ConfigHash = r.Config.Host.Name, r.Revision, r.File, r.Hash
	res.AppliedUnixNs = uint64(r.Applied.UnixNano())
	if last := s.agent.LastAttempt(); last != nil && last.Err != nil {
		res.LastApplyError, res.LastApplyErrorUnixNs = last.Err.Error(), uint64(last.At.UnixNano())
	}
	res.Vports, res.Uplinks = uint32(len(r.Config.Vports)), uint32(len(r.Config.Uplinks))
	res.Cores = s.agent.CoresWhy()
	res.Workers = s.workers(r, res.GetSampledNs())
	return res, nil
}

// Apply implements the control API.
func (s *Service) Apply(ctx context.Context, req *sluicev1.ApplyRequest) (*sluicev1.ApplyResponse, error) {
	file := req.GetFile()
	if file == "" {
		file = "configuration"
	}
	done, err := s.agent.Apply(ctx, file, req.GetYaml(), req.GetDryRun())
	var bad *policy.Errors
	switch {
	case errors.As(err, &bad):
		return nil, api.InvalidConfig(file, problems(bad.Problems))
	case err != nil:
		return nil, coded(err)
	}
	res := &sluicev1.ApplyResponse{Warnings: problems(done.Warnings), Revision: done.Revision, ConfigHash: done.Hash}
	for _, c := range done.Changes {
		res.Changes = append(res.Changes, &sluicev1.Change{Op: string(c.Op), Kind: c.Kind, Name: c.Name, Detail: c.Detail})
	}
	return res, nil
}

func problems(list []policy.Problem) []*sluicev1.Problem {
	out := make([]*sluicev1.Problem, 0, len(list))
	for _, p := range list {
		out = append(out, &sluicev1.Problem{
			File: p.File, Line: uint32(p.Line), Column: uint32(p.Column), Object: p.Object, What: p.What, Remedy: p.Remedy,
		})
	}
	return out
}

// GetConfig implements the control API.
func (s *Service) GetConfig(context.Context, *sluicev1.GetConfigRequest) (*sluicev1.GetConfigResponse, error) {
	r := s.agent.Running()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	return &sluicev1.GetConfigResponse{Yaml: r.YAML, File: r.File, ConfigHash: r.Hash, Revision: r.Revision}, nil
}

// NextHop implements the control API.
func (s *Service) NextHop(_ context.Context, req *sluicev1.NextHopRequest) (*sluicev1.NextHopResponse, error) {
	r := s.agent.Running()
	if r == nil {
		return nil, coded(agent.ErrStopped)
	}
	sub := findSubnet(r.Snapshot, req.GetVsid(), req.GetSubnet())
	if sub == nil {
		return nil, notFound("no virtual subnet %s on this host; `sluice record list` shows the ones it knows", subnetName(req))
	}
	src, err := parseAddr("source", req.GetSource())
	if err != nil {
		return nil, err
	}
	dst, err := parseAddr("target", req.GetTarget())
	if err != nil {
		return nil, err
	}
	n, err := s.agent.Switch().NextHop(sub.VSID, src, dst)
	if err != nil {
		return nil, notFound("%v", err)
	}
	res := &sluicev1.NextHopResponse{
		Verdict: n.Verdict, Steps: n.Steps, Pa: addrText(n.PA), NextHop: addrText(n.NextHop), NextHopMac: macText(n.NextHopMAC),
		Vsid: n.VSID, Mac: macText(n.MAC),
	}
	switch n.Verdict {
	case "local":
		res.Vport = r.PortName(n.Port)
	case "nvgre", "rewrite":
		res.Uplink = r.PortName(n.Uplink)
	}
	if n.Verdict == "drop" {
		res.Reason, res.ReasonExplanation = n.Reason.String(), n.Reason.Explain()
	}
	return res, nil
}
