package api

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/api/sluice/v1/sluicev1connect"
)

// service answers Apply with what a test put in and holds GetStatus until released.
type service struct {
	sluicev1connect.UnimplementedSluiceServiceHandler
	applyErr error
	entered  chan struct{}
	release  chan struct{}
}

func (s *service) Apply(context.Context, *sluicev1.ApplyRequest) (*sluicev1.ApplyResponse, error) {
	return nil, s.applyErr
}

func (s *service) GetStatus(ctx context.Context, _ *sluicev1.GetStatusRequest) (*sluicev1.GetStatusResponse, error) {
	close(s.entered)
	select {
	case <-s.release:
	case <-ctx.Done():
	}
	return &sluicev1.GetStatusResponse{Host: "host-a"}, nil
}

// start serves s and returns the socket and what ends it, giving Serve's result.
func start(t *testing.T, s *service) (socket string, stop func() error) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s.sock")
	l, err := Listen(socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, s) }()
	t.Cleanup(cancel)
	return socket, func() error { cancel(); return <-done }
}

func TestProblemsTravel(t *testing.T) {
	problems := []*sluicev1.Problem{
		{File: "h.yaml", Line: 12, Column: 5, Object: "vport red-vm1", What: "its MTU is 99", Remedy: "use 576 to 9000"},
		{File: "h.yaml", Line: 14, Object: "uplink up0", What: "unknown key", Remedy: "remove it"},
	}
	socket, stop := start(t, &service{applyErr: InvalidConfig("h.yaml", problems)})
	_, err := Dial(socket).Apply(context.Background(), &sluicev1.ApplyRequest{})
	assert.Equal(t, connect.CodeInvalidArgument, connect.CodeOf(err))
	assert.ErrorContains(t, err, "h.yaml: 2 problems; nothing was changed")
	got := ProblemsOf(err)
	require.Len(t, got, 2)
	assert.Equal(t, problems[0].GetRemedy(), got[0].GetRemedy())
	assert.Equal(t, uint32(5), got[0].GetColumn())
	assert.Nil(t, ProblemsOf(errors.New("another error")))
	assert.NoError(t, stop())
	assert.NoFileExists(t, socket)
}

func TestServeFinishesCallsUnderWay(t *testing.T) {
	s := &service{entered: make(chan struct{}), release: make(chan struct{})}
	socket, stop := start(t, s)
	answered := make(chan error, 1)
	go func() {
		_, err := Dial(socket).GetStatus(context.Background(), &sluicev1.GetStatusRequest{})
		answered <- err
	}()
	<-s.entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(s.release)
	assert.NoError(t, <-answered)
	assert.NoError(t, <-stopped)
}

func TestServeEndsWhenTheListenerBreaks(t *testing.T) {
	l, err := Listen(filepath.Join(t.TempDir(), "s.sock"))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	assert.ErrorContains(t, Serve(context.Background(), l, &service{}), "serve control API")
}

func TestSilentDaemonIsUnreachable(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", socket) // accepts by the backlog, never answers
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = Dial(socket).GetVersion(ctx, &sluicev1.GetVersionRequest{})
	var down *UnreachableError
	require.ErrorAs(t, err, &down)
	assert.ErrorContains(t, err, "did not answer in time")
}

func TestDeadlineThatTheDaemonNoticesFirst(t *testing.T) {
	socket, stop := start(t, &service{applyErr: context.DeadlineExceeded})
	_, err := Dial(socket).Apply(context.Background(), &sluicev1.ApplyRequest{})
	var down *UnreachableError
	assert.ErrorAs(t, err, &down)
	assert.NoError(t, stop())
}

func TestDaemonEndingDuringACallIsUnreachable(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1024))
			_ = conn.Close()
		}
	}()
	_, err = Dial(socket).Apply(context.Background(), &sluicev1.ApplyRequest{})
	var down *UnreachableError
	require.ErrorAs(t, err, &down)
	assert.ErrorContains(t, err, "connection broke")
}
