package metabasefake

// Version is the age of the imitated Metabase. Versions differ in how things read
// back.
type Version int

// The versions.
const (
	// Newest clears the setup token once there is a user, and merges a
	// database's new details over the old ones.
	Newest Version = iota
	// V054 knows no MBQL 5 and no entity ids in paths, and does not share
	// publicly before it is told so.
	V054
	// V058 reads queries back as MBQL 5.
	V058
	// V063 reads template tags back as a list, and answers 404 in JSON.
	V063
)

// tag gives the version as Metabase tells it.
func (v Version) tag() string {
	return map[Version]string{V054: "v0.54.2", V058: "v0.58.15", V063: "v0.63.19", Newest: "v0.64.0"}[v]
}

func (v Version) mbql5() bool           { return v != V054 }
func (v Version) tagList() bool         { return v == V063 || v == Newest }
func (v Version) textNotFound() bool    { return v == V054 || v == V058 }
func (v Version) clearsToken() bool     { return v == Newest }
func (v Version) mergesDetails() bool   { return v == Newest }
func (v Version) entityIDsInPath() bool { return v != V054 }
func (v Version) sharesPublicly() bool  { return v != V054 }
func (v Version) hasDisplay(name string) bool {
	return displays[name] && (name != "boxplot" || v == V063 || v == Newest)
}
