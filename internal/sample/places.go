package sample

import (
	"fmt"
	"strconv"
	"strings"
)

// place is what one series of reports is about.
type place struct {
	state, county, fips                string
	country, alpha3, alpha2, continent string
	dataSource                         string
	thousands                          int64 // people, in thousands; 0 reports nothing but zeros
	deathsBlank                        bool  // reports no deaths, as Puerto Rico's towns
}

// state is a state of the United States with its counties in the order of their
// FIPS numbers, which count in twos from 1. An entry is a name, then, where the
// count is broken, "=number", then, for those that are not small, ":thousands"
// of people.
type state struct {
	name, fips, counties string
}

var states = [...]state{
	{"District of Columbia", "11", `District of Columbia:690`},
	{"Alabama", "01", `
		Autauga, Baldwin:232, Barbour, Bibb, Blount, Bullock, Butler, Calhoun, Chambers, Cherokee,
		Chilton, Choctaw, Clarke, Clay, Cleburne, Coffee, Colbert, Conecuh, Coosa, Covington, Crenshaw,
		Cullman, Dale, Dallas, DeKalb, Elmore, Escambia, Etowah, Fayette, Franklin, Geneva, Greene,
		Hale, Henry, Houston, Jackson, Jefferson:675, Lamar, Lauderdale, Lawrence, Lee, Limestone,
		Lowndes, Macon, Madison:388, Marengo, Marion, Marshall, Mobile:415, Monroe, Montgomery:229,
		Morgan, Perry, Pickens, Pike, Randolph, Russell, St. Clair, Shelby:223, Sumter, Talladega,
		Tallapoosa, Tuscaloosa:227, Walker, Washington, Wilcox, Winston`},
	{"California", "06", `
		Alameda:1682, Alpine:1, Amador, Butte, Calaveras, Colusa, Contra Costa:1166, Del Norte,
		El Dorado, Fresno:1009, Glenn, Humboldt, Imperial, Inyo, Kern:909, Kings, Lake, Lassen,
		Los Angeles:10014, Madera, Marin, Mariposa, Mendocino, Merced, Modoc, Mono, Monterey:439, Napa,
		Nevada, Orange:3187, Placer:405, Plumas, Riverside:2418, Sacramento:1585, San Benito,
		San Bernardino:2182, San Diego:3299, San Francisco:874, San Joaquin:779, San Luis Obispo,
		San Mateo:764, Santa Barbara:448, Santa Clara:1936, Santa Cruz, Shasta, Sierra, Siskiyou,
		Solano:453, Sonoma:489, Stanislaus:553, Sutter, Tehama, Trinity, Tulare:473, Tuolumne,
		Ventura:844, Yolo, Yuba`},
	{"Illinois", "17", `
		Adams, Alexander, Bond, Boone, Brown, Bureau, Calhoun, Carroll, Cass, Champaign, Christian,
		Clark, Clay, Clinton, Coles, Cook:5276, Crawford, Cumberland, DeKalb, De Witt, Douglas,
		DuPage:933, Edgar, Edwards, Effingham, Fayette, Ford, Franklin, Fulton, Gallatin, Greene,
		Grundy, Hamilton, Hancock, Hardin, Henderson, Henry, Iroquois, Jackson, Jasper, Jefferson,
		Jersey, Jo Daviess, Johnson, Kane:517, Kankakee, Kendall, Knox, Lake:714, LaSalle, Lawrence,
		Lee, Livingston, Logan, McDonough, McHenry:310, McLean, Macon, Macoupin, Madison:266, Marion,
		Marshall, Mason, Massac, Menard, Mercer, Monroe, Montgomery, Morgan, Moultrie, Ogle, Peoria,
		Perry, Piatt, Pike, Pope, Pulaski, Putnam, Randolph, Richland, Rock Island, St. Clair:257,
		Saline, Sangamon, Schuyler, Scott, Shelby, Stark, Stephenson, Tazewell, Union, Vermilion,
		Wabash, Warren, Washington, Wayne, White, Whiteside, Will:697, Williamson, Winnebago:285,
		Woodford`},
	{"New York", "36", `
		Albany:315, Allegany, Bronx:1473, Broome, Cattaraugus, Cayuga, Chautauqua, Chemung, Chenango,
		Clinton, Columbia, Cortland, Delaware, Dutchess, Erie:954, Essex, Franklin, Fulton, Genesee,
		Greene, Hamilton:5, Herkimer, Jefferson, Kings:2736, Lewis, Livingston, Madison, Monroe:759,
		Montgomery, Nassau:1396, New York:1694, Niagara, Oneida, Onondaga:477, Ontario, Orange:401,
		Orleans, Oswego, Otsego, Putnam, Queens:2405, Rensselaer, Richmond:496, Rockland:338,
		St. Lawrence, Saratoga, Schenectady, Schoharie, Schuyler, Seneca, Steuben, Suffolk:1526,
		Sullivan, Tioga, Tompkins, Ulster, Warren, Washington, Wayne, Westchester:1004, Wyoming, Yates`},
	{"New Mexico", "35", `
		Bernalillo:676, Catron, Chaves, Cibola=6, Colfax, Curry, De Baca, Doña Ana:220, Eddy, Grant,
		Guadalupe, Harding:1, Hidalgo, Lea, Lincoln, Los Alamos=28, Luna, McKinley, Mora, Otero, Quay,
		Rio Arriba, Roosevelt, Sandoval:149, San Juan, San Miguel, Santa Fe:155, Sierra, Socorro, Taos,
		Torrance, Union, Valencia`},
	{"Puerto Rico", "72", `
		Añasco=11, Adjuntas=1, Aguada, Aguadilla, Aguas Buenas, Aibonito, Arecibo=13, Arroyo,
		Barceloneta, Barranquitas, Bayamón:185, Cabo Rojo, Caguas:127, Camuy, Canóvanas, Carolina:155,
		Cataño, Cayey, Ceiba, Ciales, Cidra, Coamo, Comerío, Corozal, Culebra:2, Dorado, Fajardo,
		Florida=54, Guánica, Guayama, Guayanilla, Guaynabo, Gurabo, Hatillo, Hormigueros, Humacao,
		Isabela, Jayuya, Juana Díaz, Juncos, Lajas, Lares, Las Marías, Las Piedras, Loíza, Luquillo,
		Manatí, Maricao, Maunabo, Mayagüez, Moca, Morovis, Naguabo, Naranjito, Orocovis, Patillas,
		Peñuelas, Ponce:137, Quebradillas, Rincón, Río Grande, Sabana Grande, Salinas, San Germán,
		San Juan:342, San Lorenzo, San Sebastián, Santa Isabel, Toa Alta, Toa Baja, Trujillo Alto,
		Utuado, Vega Alta, Vega Baja, Vieques, Villalba, Yabucoa, Yauco`},
	{"Iowa", "19", `
		Adair, Adams, Allamakee, Appanoose, Audubon, Benton, Black Hawk, Boone, Bremer, Buchanan,
		Buena Vista, Butler, Calhoun, Carroll, Cass, Cedar, Cerro Gordo, Cherokee, Chickasaw, Clarke,
		Clay, Clayton, Clinton, Crawford, Dallas, Davis, Decatur, Delaware, Des Moines, Dickinson,
		Dubuque, Emmet, Fayette, Floyd, Franklin, Fremont, Greene, Grundy, Guthrie, Hamilton, Hancock,
		Hardin, Harrison, Henry, Howard, Humboldt, Ida, Iowa, Jackson, Jasper, Jefferson, Johnson:153,
		Jones, Keokuk, Kossuth, Lee, Linn:230, Louisa, Lucas, Lyon, Madison, Mahaska, Marion, Marshall,
		Mills, Mitchell, Monona, Monroe, Montgomery, Muscatine, O'Brien, Osceola, Page, Palo Alto,
		Plymouth, Pocahontas, Polk:492, Pottawattamie, Poweshiek, Ringgold, Sac, Scott:175, Shelby,
		Sioux, Story, Tama, Taylor, Union, Van Buren, Wapello, Warren, Washington, Wayne, Webster,
		Winnebago, Winneshiek, Woodbury, Worth, Wright`},
	{"Washington", "53", `
		Adams, Asotin, Benton, Chelan, Clallam, Clark:503, Columbia, Cowlitz, Douglas, Ferry, Franklin,
		Garfield:2, Grant, Grays Harbor, Island, Jefferson, King:2270, Kitsap:276, Kittitas, Klickitat,
		Lewis, Lincoln, Mason, Okanogan, Pacific, Pend Oreille, Pierce:921, San Juan, Skagit, Skamania,
		Snohomish:828, Spokane:539, Stevens, Thurston:295, Wahkiakum, Walla Walla, Whatcom, Whitman,
		Yakima`},
	{"Oregon", "41", `
		Baker, Benton, Clackamas:421, Clatsop, Columbia, Coos, Crook, Curry, Deschutes, Douglas,
		Gilliam, Grant, Harney, Hood River, Jackson, Jefferson, Josephine, Klamath, Lake, Lane:383,
		Lincoln, Linn, Malheur, Marion:346, Morrow, Multnomah:815, Polk, Sherman, Tillamook, Umatilla,
		Union, Wallowa, Wasco, Washington:600, Wheeler:1, Yamhill`},
	{"Massachusetts", "25", `
		Barnstable:229, Berkshire, Bristol:579, Dukes, Essex:810, Franklin, Hampden:466, Hampshire,
		Middlesex:1632, Nantucket, Norfolk:726, Plymouth:531, Suffolk:798, Worcester:862`},
	{"New Jersey", "34", `
		Atlantic:275, Bergen:956, Burlington:462, Camden:523, Cape May, Cumberland, Essex:864,
		Gloucester:302, Hudson:725, Hunterdon, Mercer:387, Middlesex:863, Monmouth:644, Morris:509,
		Ocean:637, Passaic:524, Salem, Somerset:345, Sussex, Union:576, Warren`},
	{"Connecticut", "09", `
		Fairfield:957, Hartford:899, Litchfield:185, Middlesex, New Haven:865, New London:269, Tolland,
		Windham`},
	{"Delaware", "10", `Kent:182, New Castle:571, Sussex:237`},
	{"Hawaii", "15", `Hawaii:200, Honolulu:1017, Kalawao:1, Kauai:73, Maui:165`},
	{"Maine", "23", `
		Androscoggin, Aroostook, Cumberland:303, Franklin, Hancock, Kennebec, Knox, Lincoln, Oxford,
		Penobscot:152, Piscataquis, Sagadahoc, Somerset, Waldo, Washington, York:212`},
	{"New Hampshire", "33", `
		Belknap, Carroll, Cheshire, Coos, Grafton, Hillsborough:423, Merrimack:154, Rockingham:314,
		Strafford, Sullivan`},
	{"Rhode Island", "44", `Bristol, Kent:170, Newport, Providence:661, Washington:130`},
	{"Vermont", "50", `
		Addison, Bennington, Caledonia, Chittenden:168, Essex, Franklin, Grand Isle, Lamoille, Orange,
		Orleans, Rutland, Washington, Windham, Windsor`},
}

// countries report as a whole. The first of them have the quirks: an alpha-2
// code that reads as "not available", a comma in the name, and two that have no
// codes and differ in nothing but the name.
var countries = [...]place{
	{country: "Namibia", alpha3: "NAM", alpha2: "NA", continent: "Africa", thousands: 2530},
	{country: "Korea, North", alpha3: "PRK", alpha2: "KP", continent: "Asia"},
	{country: "Diamond Princess"},
	{country: "MS Zaandam"},
	{country: "Antarctica", alpha3: "ATA", alpha2: "AQ"},
	{country: "Côte d'Ivoire", alpha3: "CIV", alpha2: "CI", continent: "Africa", thousands: 27480},
	{country: "Taiwan*", alpha3: "TWN", alpha2: "TW", continent: "Asia", thousands: 23570},
	{country: "Australia", alpha3: "AUS", alpha2: "AU", continent: "Oceania", thousands: 25690},
	{country: "Bosnia and Herzegovina", alpha3: "BIH", alpha2: "BA", continent: "Europe", thousands: 3280},
	{country: "Brazil", alpha3: "BRA", alpha2: "BR", continent: "America", thousands: 214300},
	{country: "Canada", alpha3: "CAN", alpha2: "CA", continent: "America", thousands: 38250},
	{country: "Denmark", alpha3: "DNK", alpha2: "DK", continent: "Europe", thousands: 5860},
	{country: "France", alpha3: "FRA", alpha2: "FR", continent: "Europe", thousands: 67750},
	{country: "Germany", alpha3: "DEU", alpha2: "DE", continent: "Europe", thousands: 83200},
	{country: "Iceland", alpha3: "ISL", alpha2: "IS", continent: "Europe", thousands: 372},
	{country: "Italy", alpha3: "ITA", alpha2: "IT", continent: "Europe", thousands: 59110},
	{country: "Japan", alpha3: "JPN", alpha2: "JP", continent: "Asia", thousands: 125700},
	{country: "Kenya", alpha3: "KEN", alpha2: "KE", continent: "Africa", thousands: 53010},
	{country: "Korea, South", alpha3: "KOR", alpha2: "KR", continent: "Asia", thousands: 51740},
	{country: "Kosovo", alpha3: "XKS", alpha2: "XK", continent: "Europe", thousands: 1790},
	{country: "Mexico", alpha3: "MEX", alpha2: "MX", continent: "America", thousands: 126700},
	{country: "New Zealand", alpha3: "NZL", alpha2: "NZ", continent: "Oceania", thousands: 5120},
	{country: "Norway", alpha3: "NOR", alpha2: "NO", continent: "Europe", thousands: 5410},
	{country: "South Africa", alpha3: "ZAF", alpha2: "ZA", continent: "Africa", thousands: 59390},
	{country: "Spain", alpha3: "ESP", alpha2: "ES", continent: "Europe", thousands: 47420},
	{country: "Timor-Leste", alpha3: "TLS", alpha2: "TL", continent: "Asia", thousands: 1320},
	{country: "United Kingdom", alpha3: "GBR", alpha2: "GB", continent: "Europe", thousands: 67330},
}

// places gives all places in the order of their series: one of each state and
// one country in turn, so that a small sample has some of everything.
func places() []place {
	groups := make([][]place, 0, len(states)+1)
	groups = append(groups, worldPlaces())
	for _, s := range states {
		groups = append(groups, s.places())
	}
	var dealt []place
	for round, more := 0, true; more; round++ {
		more = false
		for _, group := range groups {
			if round < len(group) {
				dealt = append(dealt, group[round])
				more = true
			}
		}
	}
	return dealt
}

func worldPlaces() []place {
	world := countries
	for i := range world {
		world[i].dataSource = "Johns Hopkins University"
	}
	return world[:]
}

// places gives the state's counties, and the reports that could not be given to
// any of them: the county "Unknown", which has no FIPS number.
func (s state) places() []place {
	us := place{
		state: s.name, country: "United States", alpha3: "USA", alpha2: "US", continent: "America",
		dataSource: "New York Times", deathsBlank: s.name == "Puerto Rico",
	}
	unknown := us
	unknown.county, unknown.thousands = "Unknown", 2
	all := []place{unknown}
	next := 1
	for _, entry := range strings.Split(s.counties, ",") {
		entry, people, hasPeople := strings.Cut(strings.TrimSpace(entry), ":")
		name, number, hasNumber := strings.Cut(entry, "=")
		if hasNumber {
			next = mustInt(number)
		}
		county := us
		county.county = name
		county.fips = fmt.Sprintf("%s%03d", s.fips, next)
		county.thousands = 4 + int64(mix(uint64(mustInt(county.fips)))%86)
		if hasPeople {
			county.thousands = int64(mustInt(people))
		}
		all = append(all, county)
		next += 1 + next%2
	}
	return all
}

func mustInt(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(fmt.Sprintf("table of counties: %v", err))
	}
	return n
}
