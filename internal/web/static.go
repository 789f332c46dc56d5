package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed static pages
var files embed.FS

// asset is a file of the page, under a name that changes with its content.
type asset struct {
	name, kind string
	content    []byte
}

// assets are the files by their plain and by their changing name.
var assets = func() map[string]asset {
	all := map[string]asset{}
	entries, err := files.ReadDir("static")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, e := range entries {
		content, err := fs.ReadFile(files, "static/"+e.Name())
		if err != nil {
			panic(err)
		}
		digest := sha256.Sum256(content)
		extension := path.Ext(e.Name())
		a := asset{hex.EncodeToString(digest[:6]) + extension, mime.TypeByExtension(extension), content}
		all[e.Name()], all[a.name] = a, a
	}
	return all
}()

// static gives a file. Its name stands for its content, so it is kept for ever.
func static(w http.ResponseWriter, r *http.Request) {
	a, found := assets[r.PathValue("file")]
	if !found || a.name != r.PathValue("file") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(a.content) //nolint:errcheck // the reader has gone
}

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"static":  func(name string) string { return "/static/" + assets[name].name },
	"grouped": func(n int) string { return grouped(int64(n)) },
}).ParseFS(files, "pages/*.html"))

// write answers with a page. It is made in full first: half a page would look
// like one.
func (s *Server) write(w http.ResponseWriter, status int, name string, view any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, view); err != nil {
		s.Log.Error("template failed", "page", name, "error", err)
		http.Error(w, "The page could not be made; the log of `starter serve` has the error.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes()) //nolint:errcheck // the reader has gone
}
