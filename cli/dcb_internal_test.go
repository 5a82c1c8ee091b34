package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDCBInWords(t *testing.T) {
	const none = "device up0: its driver has no DCB"
	for _, tc := range []struct {
		name string
		dcb  DCB
		want [][2]string
	}{
		{"no DCB, no qos", DCB{Reason: none}, [][2]string{{"dcb", none}, {"pfc", "none in the device"}}},
		{"no DCB", DCB{Reason: none, Refused: none, Software: none}, [][2]string{{"dcb", none}, {"pfc", "none in the device"}, {"scheduled", "in software: " + none}}},
		{"not used", DCB{Classes: 8, HasPFC: true, Software: "the class is strict"}, [][2]string{
			{"dcb", "8 classes in the device, which are not used"}, {"pfc", "possible, and off"}, {"scheduled", "in software: the class is strict"},
		}},
		{"by the device", DCB{Classes: 8, HasPFC: true, Running: 8, Divides: true, PausingPriorities: []uint32{3, 4}}, [][2]string{
			{"dcb", "8 classes in the device, each for its priority"}, {"pfc", "priorities 3 4"}, {"scheduled", "by the device"},
		}},
		{"without pfc", DCB{Classes: 4, Running: 4, Divides: true, Refused: "no pause"}, [][2]string{
			{"dcb", "4 classes in the device, each for its priority"}, {"pfc", "none in the device"}, {"scheduled", "by the device"}, {"refused", "no pause"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.want, tc.dcb.pairs()) })
	}
}
