//go:build !race

package qos

const raceDetector = false
