//go:build !race

package vmq

const raceDetector = false
