package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFileSize bounds what Load and Parse take: room for half a million records.
const maxFileSize = 64 << 20

// Load reads and checks a configuration file. When the file could be read but not taken, the error is an *Errors.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}

// Parse reads and checks a configuration. file is what problems call it. Unknown keys are refused, defaults filled in. The
// error is an *Errors with every problem that was found, in the order of their lines.
func Parse(file string, data []byte) (*Config, error) {
	d := &decoder{file: file}
	root := d.document(data)
	c := &Config{File: file}
	if root != nil {
		d.object(c, root, "", configFields(c))
		c.setDefaults()
		check(c, d)
	}
	if len(d.problems) > 0 {
		return nil, &Errors{Problems: sortProblems(d.problems)}
	}
	return c, nil
}

// document finds the one mapping that the file must be; nil, and a problem reported, when it is not.
func (d *decoder) document(data []byte) *yaml.Node {
	if !d.plainText(data) {
		return nil
	}
	doc, more, err := readYAML(data)
	switch {
	case err != nil:
		d.syntax(data, err)
		return nil
	case doc == nil:
		d.report(position{1, 1}, "", "the file is empty", "begin with host: {name: <name of this host>}")
		return nil
	case more != nil:
		d.report(positionOf(more), "", "a second YAML document begins here", "keep one document in the file")
		return nil
	}
	root := doc.Content[0]
	switch {
	case root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null":
		d.report(position{1, 1}, "", "the file is empty", "begin with host: {name: <name of this host>}")
		return nil
	case root.Kind != yaml.MappingNode:
		d.report(positionOf(root), "", "the file is "+kindOf(root)+", not a mapping", "begin with host: {name: <name of this host>}")
		return nil
	}
	return root
}

// plainText refuses what is not text before the YAML library sees it, with the line where it stands.
func (d *decoder) plainText(data []byte) bool {
	at := func(i int) position {
		line := bytes.Count(data[:i], []byte("\n")) + 1
		return position{int32(line), int32(i - bytes.LastIndexByte(data[:i], '\n'))}
	}
	if len(data) > maxFileSize {
		d.report(position{}, "", fmt.Sprintf("the file is larger than %d MiB", maxFileSize>>20), "is it the right file?")
		return false
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			d.report(at(i), "", fmt.Sprintf("the byte 0x%02x is not UTF-8 text", data[i]), "save the file as UTF-8")
			return false
		case r == 0:
			d.report(at(i), "", "the file holds a NUL byte", "it must be text; is it the right file?")
			return false
		case r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f:
			d.report(at(i), "", fmt.Sprintf("the file holds the control character 0x%02x", r), "remove it")
			return false
		}
		i += size
	}
	return true
}

// readYAML reads the first document and the one after it, nil where there is none.
func readYAML(data []byte) (first, second *yaml.Node, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var docs [2]*yaml.Node
	for i := range docs {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
		docs[i] = &doc
	}
	return docs[0], docs[1], nil
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// maxLocated bounds the files in which syntax looks for the line of a mistake.
const maxLocated = 256 << 10

// syntax reports an error of the YAML library.
func (d *decoder) syntax(data []byte, err error) {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	at := position{1, 1}
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 32); err == nil && n > 0 {
			at.line = int32(n)
		}
		what = what[len(m[0]):]
	}
	if len(data) <= maxLocated {
		at.line = int32(locate(data, err))
	}
	d.report(at, "", "not valid YAML: "+what, "look at indentation, colons, brackets and quotes of this line and those around it")
}

// locate finds the line of a syntax error: the first one with which the text up to there fails as all of it does. The
// library itself only tells where the construct begins that it could not finish, often the top of the file.
func locate(data []byte, want error) int {
	var ends []int
	for i, b := range data {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	return 1 + sort.Search(len(ends), func(i int) bool {
		_, _, err := readYAML(data[:ends[i]])
		return err != nil && err.Error() == want.Error()
	})
}
