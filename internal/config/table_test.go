package config

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// `make settings` writes the table instead of comparing it.
var write = flag.Bool("write", false, "write the table of settings into docs/operations.md")

const (
	manual     = "../../docs/operations.md"
	tableBegin = "<!-- settings: written by `make settings` -->\n"
	tableEnd   = "<!-- end of settings -->\n"
)

// The manual's table of settings is made from the structs that hold them.
func TestTheManualsTableIsThatOfTheStructs(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), tableBegin)
	there, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table of settings", manual)
	}
	want := settingsTable(t)
	if *write {
		if err := os.WriteFile(manual, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if there != want {
		t.Errorf("the table of settings in %s is not that of the structs: run `make settings`\n%s", manual, want)
	}
}

// users are the programs and the structs of what they are told.
var users = []struct {
	name     string
	settings any
}{{"worker", Worker{}}, {"starter", Starter{}}}

func settingsTable(t *testing.T) string {
	t.Helper()
	var names []string
	rows, usedBy := map[string]string{}, map[string][]string{}
	for _, user := range users {
		for _, f := range fields(reflect.TypeOf(user.settings)) {
			name := f.Tag.Get("env")
			if strings.HasSuffix(name, "_FILE") && f.Tag.Get("desc") == "" {
				continue // of a secret, whose row names it
			}
			if f.Tag.Get("desc") == "" {
				t.Errorf("the setting %s has no tag desc", name)
			}
			if rows[name] == "" {
				names = append(names, name)
				rows[name] = row(f)
			}
			usedBy[name] = append(usedBy[name], user.name)
		}
	}
	var b strings.Builder
	b.WriteString("| variable | default | what | of |\n|---|---|---|---|\n")
	for _, name := range names {
		fmt.Fprintf(&b, "%s %s |\n", rows[name], strings.Join(usedBy[name], ", "))
	}
	return b.String()
}

// fields gives the fields that hold settings, those of nested structs too.
func fields(t reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Tag.Get("env") != "":
			all = append(all, f)
		case f.Type.Kind() == reflect.Struct:
			all = append(all, fields(f.Type)...)
		}
	}
	return all
}

func row(f reflect.StructField) string {
	name, value := "`"+f.Tag.Get("env")+"`", f.Tag.Get("envDefault")
	if f.Type == reflect.TypeFor[Secret]() {
		name += ", `" + f.Tag.Get("env") + "_FILE`"
	}
	if value != "" {
		value = "`" + value + "`"
	}
	return fmt.Sprintf("| %s | %s | %s |", name, value, f.Tag.Get("desc"))
}
