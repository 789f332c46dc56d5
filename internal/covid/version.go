package covid

// rowBits is the room for a row number in a version: 2^39 rows a release
// leaves 2^24 releases an index in a positive 63-bit version.
const rowBits = 39

// MaxRow is the highest row number a version can hold.
const MaxRow = 1<<rowBits - 1

// MaxRelease is the highest release number a version can hold.
const MaxRelease = 1<<(63-rowBits) - 1

// Version orders the records of a key: a later release is higher than an
// earlier one, and in a release a later row is higher than an earlier one. Row 0
// is no record: it is the version with which a release retires a key.
type Version int64

// NewVersion gives the version of a row of a release.
func NewVersion(release, row int64) Version { return Version(release<<rowBits | row) }

// Release gives the release of the version.
func (v Version) Release() int64 { return int64(v) >> rowBits }

// Row gives the row of the version; 0 is a retirement.
func (v Version) Row() int64 { return int64(v) & MaxRow }
