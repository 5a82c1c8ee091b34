package traffic

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// epoch is the time of the first frame in a pcap; the others follow a microsecond apart. It is fixed, so that the same
// profile gives the same file.
var epoch = time.Unix(1_700_000_000, 0).UTC()

const snapLen = 65535

// floodFrames is how many frames a replay has that brings ever new flows: more of them than a table with the bound that
// the measurements of protection set, so that none is known any more when it comes again.
const floodFrames = 1 << 18

// Frames gives the flows of the frames that come in by a port, or by all when source is "": each flow in a burst, in the
// order of the flows. With new flows the known ones come again and again, and new ones lie evenly between them.
func (p *Plan) Frames(source string) iter.Seq[Flow] {
	share := p.Profile.NewShare()
	frames := p.Profile.Flows * p.Profile.Burst
	if share > 0 {
		frames = floodFrames
	}
	return func(yield func(Flow) bool) {
		known, fresh := 0, 0
		for i := range frames {
			at := p.Profile.Flows + fresh
			if int(share*float64(i+1)) > fresh {
				fresh++
			} else {
				at = known / p.Profile.Burst % p.Profile.Flows
				known++
			}
			if flow := p.Flow(at); (source == "" || flow.Source == source) && !yield(flow) {
				return
			}
		}
	}
}

// WritePcap writes the frames that come in by a port, in the order of Frames.
func (p *Plan) WritePcap(w io.Writer, source string) error {
	buffered := bufio.NewWriter(w)
	out := pcapgo.NewWriter(buffered)
	if err := out.WriteFileHeader(snapLen, layers.LinkTypeEthernet); err != nil {
		return fmt.Errorf("write pcap: %w", err)
	}
	var frame []byte
	var last Flow
	n := 0
	for flow := range p.Frames(source) {
		if frame == nil || flow != last {
			var err error
			if frame, err = p.Frame(flow); err != nil {
				return err
			}
			last = flow
		}
		info := gopacket.CaptureInfo{Timestamp: epoch.Add(time.Duration(n) * time.Microsecond), CaptureLength: len(frame), Length: len(frame)}
		if err := out.WritePacket(info, frame); err != nil {
			return fmt.Errorf("write pcap: %w", err)
		}
		n++
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write pcap: %w", err)
	}
	return nil
}

// WriteFile writes a pcap of one source, or of all of them when source is "".
func (p *Plan) WriteFile(name, source string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write pcap: %w", err)
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = fmt.Errorf("write pcap: %w", e)
		}
	}()
	return p.WritePcap(f, source)
}

// WriteSources writes one pcap per source into a folder and says which file belongs to which.
func (p *Plan) WriteSources(dir string) (map[string]string, error) {
	files := map[string]string{}
	for _, source := range p.Sources {
		files[source] = filepath.Join(dir, source+".pcap")
		if err := p.WriteFile(files[source], source); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// FramesOf is the number of frames in the replay of one source.
func (p *Plan) FramesOf(source string) int {
	n := 0
	for range p.Frames(source) {
		n++
	}
	return n
}
