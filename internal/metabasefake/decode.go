package metabasefake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// Bodies are plain structs. In them, `need:"create"` marks a key that a new
// object must have, `need:"always"` one that it must have in an update too. A
// pointer, slice, map or any without such a mark takes null. `only:"update"` marks
// a key that a new object may not have.

// body reads a request's body into a struct, strictly: no unknown key at any
// level, none missing, exact case. It gives the keys that the body has.
func body(r *http.Request, into any, create bool) (keys map[string]bool, err error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}")
	}
	if err := strict(text, reflect.TypeOf(into).Elem(), "", create); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	keys = map[string]bool{}
	for key := range all {
		keys[key] = true
	}
	return keys, nil
}

// strict checks a JSON value against a type.
func strict(text []byte, t reflect.Type, at string, create bool) error {
	null := string(bytes.TrimSpace(text)) == "null"
	switch t.Kind() {
	case reflect.Pointer:
		if null {
			return nil
		}
		return strict(text, t.Elem(), at, create)
	case reflect.Slice, reflect.Map, reflect.Interface:
		if null || t.Kind() != reflect.Slice {
			return fits(text, t, at)
		}
		return strictList(text, t.Elem(), at, create)
	case reflect.Struct:
		return strictObject(text, t, at, create)
	}
	if null {
		return wrong(at, "is null")
	}
	return fits(text, t, at)
}

func strictList(text []byte, element reflect.Type, at string, create bool) error {
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return wrong(at, "is no list")
	}
	for i, one := range all {
		if err := strict(one, element, fmt.Sprintf("%s[%d]", at, i), create); err != nil {
			return err
		}
	}
	return nil
}

func strictObject(text []byte, t reflect.Type, at string, create bool) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil || all == nil {
		return wrong(at, "is no object")
	}
	known := map[string]bool{}
	for i := range t.NumField() {
		field := t.Field(i)
		key := keyOf(field)
		known[key] = !create || field.Tag.Get("only") != "update"
		need := field.Tag.Get("need")
		value, given := all[key]
		path := strings.TrimPrefix(at+"."+key, ".")
		switch {
		case !known[key]:
		case given && need != "" && string(bytes.TrimSpace(value)) == "null":
			return wrong(path, "is null")
		case given:
			if err := strict(value, field.Type, path, create); err != nil {
				return err
			}
		case need == "always" || need == "create" && create:
			return wrong(path, "missing required key")
		}
	}
	for _, key := range sortedKeys(all) {
		if !known[key] {
			return wrong(strings.TrimPrefix(at+"."+key, "."), "unknown key: Metabase would drop it without a word")
		}
	}
	return nil
}

// fits tells whether a JSON value is of a Go type.
func fits(text []byte, t reflect.Type, at string) error {
	if err := json.Unmarshal(text, reflect.New(t).Interface()); err != nil {
		return wrong(at, "is no %s", t.Kind())
	}
	return nil
}

// overlay copies the fields whose keys a body has: an update. Both are pointers
// to one type of struct.
func overlay(stored, update any, keys map[string]bool) {
	to, from := reflect.ValueOf(stored).Elem(), reflect.ValueOf(update).Elem()
	for i := range to.NumField() {
		if keys[keyOf(to.Type().Field(i))] {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// keyOf gives the key of a field in JSON.
func keyOf(field reflect.StructField) string {
	key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return key
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// notBlank refuses text that is there and empty.
func notBlank(at string, text *string) error {
	if text != nil && strings.TrimSpace(*text) == "" {
		return wrong(at, "is blank; leave it out")
	}
	return nil
}
