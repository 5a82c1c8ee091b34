package cli

import (
	"errors"

	"github.com/sluicenet/sluice/api"
)

// Exit codes of the sluice command.
const (
	ExitOK          = 0 // done, and what was asked about is well
	ExitWrong       = 1 // what was asked about is wrong, or the command failed
	ExitUsage       = 2 // the command line is wrong
	ExitUnreachable = 3 // no daemon could be asked
)

// UsageError is a wrong command line.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

func (e *UsageError) Unwrap() error { return e.Err }

// Usage marks an error as one of the command line.
func Usage(err error) error { return &UsageError{err} }

// ErrReported ends a command that has printed what is wrong already, with code ExitWrong.
var ErrReported = errors.New("see above")

// ExitCode is the code that an error of a command ends the process with.
func ExitCode(err error) int {
	var usage *UsageError
	var down *api.UnreachableError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &down):
		return ExitUnreachable
	}
	return ExitWrong
}
