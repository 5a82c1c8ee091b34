// Package result keeps what was measured in files.
package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// WriteJSON writes v to a file. A reader never sees half of it.
func WriteJSON(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return Replace(file, append(text, '\n'))
}

// Replace makes text all that a file holds, at once.
func Replace(file string, text []byte) error {
	next := file + ".new"
	if err := os.WriteFile(next, text, 0o644); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// ReadJSON reads what WriteJSON wrote of a T. A file of another kind is an error.
func ReadJSON[T any](file string) (*T, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	r := new(T)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("read result %s: %w (was it written by another version?)", file, err)
	}
	return r, nil
}
