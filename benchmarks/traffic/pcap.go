package traffic

import (
	"bufio"
	"fmt"
	"io"
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

// WritePcap writes the frames that come in by a port, each flow in a burst, in the order of the flows.
func (p *Plan) WritePcap(w io.Writer, source string) error {
	buffered := bufio.NewWriter(w)
	out := pcapgo.NewWriter(buffered)
	if err := out.WriteFileHeader(snapLen, layers.LinkTypeEthernet); err != nil {
		return fmt.Errorf("write pcap: %w", err)
	}
	n := 0
	for i := range p.Profile.Flows {
		flow := p.Flow(i)
		if source != "" && flow.Source != source {
			continue
		}
		frame, err := p.Frame(flow)
		if err != nil {
			return err
		}
		for range p.Profile.Burst {
			info := gopacket.CaptureInfo{Timestamp: epoch.Add(time.Duration(n) * time.Microsecond), CaptureLength: len(frame), Length: len(frame)}
			if err := out.WritePacket(info, frame); err != nil {
				return fmt.Errorf("write pcap: %w", err)
			}
			n++
		}
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
	for i := range p.Profile.Flows {
		if p.Flow(i).Source == source {
			n += p.Profile.Burst
		}
	}
	return n
}
