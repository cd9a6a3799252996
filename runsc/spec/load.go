package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ConfigName is the file in a bundle that describes the container.
const ConfigName = "config.json"

// Load reads and validates the specification of the bundle in directory
// bundle. The root path of the result is absolute.
func Load(bundle string) (*specs.Spec, error) {
	fi, err := os.Stat(bundle)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", bundle, cause(err))
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("bundle %s: not a directory", bundle)
	}
	path := filepath.Join(bundle, ConfigName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, cause(err))
	}
	s := new(specs.Spec)
	if err := decode(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := Validate(s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := limitPod(s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !filepath.IsAbs(s.Root.Path) {
		s.Root.Path = filepath.Join(bundle, s.Root.Path)
	}
	fi, err = os.Stat(s.Root.Path)
	if err != nil {
		return nil, fmt.Errorf("rootfs %s: %w", s.Root.Path, cause(err))
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("rootfs %s: not a directory", s.Root.Path)
	}
	return s, nil
}

// LoadProcess reads and validates a process.json, as exec --process takes it.
func LoadProcess(path string) (*specs.Process, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, cause(err))
	}
	p := new(specs.Process)
	if err := decode(data, p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := ValidateProcess(p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// decode is json.Unmarshal with errors that say where.
func decode(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: %w", line(data, syntax.Offset), err)
	case errors.As(err, &wrong):
		field := wrong.Field
		if field == "" {
			field = "the document"
		}
		return fmt.Errorf("line %d: %s must be %s, not %s", line(data, wrong.Offset), field, noun(wrong.Type.Kind()), noun(wrong.Value))
	}
	return err
}

// noun is JSON's word, with its article, for a kind of Go value or of JSON's own.
func noun[T reflect.Kind | string](kind T) string {
	switch word := fmt.Sprint(kind); {
	case word == "struct" || word == "map" || word == "object":
		return "an object"
	case word == "slice" || word == "array":
		return "an array"
	case strings.HasPrefix(word, "int") || strings.HasPrefix(word, "uint"):
		return "an integer"
	default: // string, bool, number (perhaps with its value)
		return "a " + word
	}
}

func line(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
}

// cause strips the operation and path that os puts before an errno: the caller
// names the object in better words.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
