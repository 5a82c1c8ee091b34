package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/api/sluice/v1/sluicev1connect"
)

// maxRequest bounds what a client may send. A configuration of 100,000 records is about 10 MB.
const maxRequest = 64 << 20

const (
	headerTimeout = 10 * time.Second
	drainTimeout  = 5 * time.Second
)

// Serve answers calls on l until ctx ends, lets the calls that are under way finish within a few seconds, and closes l.
func Serve(ctx context.Context, l net.Listener, service sluicev1connect.SluiceServiceHandler) error {
	mux := http.NewServeMux()
	mux.Handle(sluicev1connect.NewSluiceServiceHandler(service, connect.WithReadMaxBytes(maxRequest)))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}

	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err := srv.Shutdown(limit)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		drained <- err
	})
	err := srv.Serve(l)
	if stop() { // Serve ended by itself, nobody asked for it
		return fmt.Errorf("serve control API on %s: %w", l.Addr(), err)
	}
	if err := <-drained; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop control API: %w", err)
	}
	return nil
}

// InvalidConfig is the error of Apply for a configuration with problems: INVALID_ARGUMENT with all of them as a detail.
func InvalidConfig(file string, problems []*sluicev1.Problem) error {
	err := connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%s: %d problems; nothing was changed", file, len(problems)))
	detail, detailErr := connect.NewErrorDetail(&sluicev1.Problems{Problems: problems})
	if detailErr != nil {
		return connect.NewError(connect.CodeInternal, fmt.Errorf("attach the problems of %s: %w", file, detailErr))
	}
	err.AddDetail(detail)
	return err
}

// ProblemsOf returns the problems that InvalidConfig put into an error, nil without any.
func ProblemsOf(err error) []*sluicev1.Problem {
	var coded *connect.Error
	if !errors.As(err, &coded) {
		return nil
	}
	for _, d := range coded.Details() {
		if v, err := d.Value(); err == nil {
			if p, ok := v.(*sluicev1.Problems); ok {
				return p.GetProblems()
			}
		}
	}
	return nil
}
