//go:build race

package vmq

// raceDetector says that tests take ten times as long. A scheduler is one goroutine's: there is nothing for the detector to
// find that the first cases do not show.
const raceDetector = true
