package metabasefake

import (
	"encoding/json"
	"slices"
	"strings"
)

// displays are the charts that Metabase has; it stores any other name too and
// shows nothing.
var displays = set(`table bar line area row pie scalar smartscalar combo pivot funnel map scatter waterfall
	progress gauge object sankey boxplot`)

// settingKeys are the documented keys of a card's visualization_settings.
var settingKeys = set(`
	graph.dimensions graph.metrics graph.series_order stackable.stack_type graph.split_panels
	graph.show_goal graph.goal_value graph.goal_label graph.show_trendline
	graph.show_values graph.label_value_frequency graph.show_stack_values graph.label_value_formatting
	graph.x_axis.scale graph.y_axis.scale graph.x_axis.axis_enabled graph.y_axis.axis_enabled
	graph.y_axis.unpin_from_zero graph.y_axis.auto_range graph.y_axis.min graph.y_axis.max graph.y_axis.auto_split
	graph.x_axis.title_text graph.y_axis.title_text graph.x_axis.labels_enabled graph.y_axis.labels_enabled
	graph.tooltip_columns graph.colors scatter.bubble
	boxplot.whisker_type boxplot.points_mode boxplot.show_mean boxplot.show_values_mode
	waterfall.show_total waterfall.increase_color waterfall.decrease_color waterfall.total_color
	pie.dimension pie.metric pie.show_legend pie.show_total pie.show_labels pie.percent_visibility
	pie.decimal_places pie.slice_threshold pie.rows pie.colors
	funnel.dimension funnel.metric funnel.rows funnel.type gauge.segments
	progress.value progress.goal progress.color
	scalar.field scalar.comparisons scalar.segments scalar.compact_primary_number scalar.switch_positive_negative
	table.columns table.column_formatting table.pivot table.pivot_column table.cell_column table.row_index
	table.pagination table.freeze_columns table.freeze_columns_count table.freeze_rows table.freeze_rows_count
	map.type map.region map.dimension map.metric map.colors map.latitude_column map.longitude_column
	map.metric_column map.pin_type map.heat.radius map.heat.blur map.heat.min-opacity map.heat.max-zoom
	sankey.source sankey.target sankey.value sankey.node_align sankey.show_edge_labels
	sankey.label_value_formatting sankey.edge_color
	column_settings series_settings`)

// dashcardKeys are those that a dashcard has beyond a card's.
var dashcardKeys = set(`card.title card.description card.hide_empty dashcard.background click_behavior
	virtual_card text text.align_horizontal text.align_vertical link iframe`)

var columnKeys = set(`column_title text_align view_as link_text link_url show_mini_bar text_wrapping
	number_style currency currency_style currency_in_header number_separators decimals scale prefix suffix
	date_style date_separator date_abbreviate time_enabled time_style click_behavior`)

var seriesKeys = set(`title color display line.interpolate line.style line.size line.marker_enabled
	line.missing axis show_series_values show_series_trendline`)

func set(words string) map[string]bool {
	all := map[string]bool{}
	for _, word := range strings.Fields(words) {
		all[word] = true
	}
	return all
}

// checkSettings refuses keys that Metabase does not have, at all levels.
func checkSettings(at string, settings map[string]any, ofDashcard bool) error {
	for _, key := range sortedKeys(settings) {
		path := at + "." + key
		switch {
		case !settingKeys[key] && !(ofDashcard && dashcardKeys[key]):
			return wrong(path, "no chart has such a setting")
		case key == "column_settings":
			if err := checkNested(path, settings[key], columnKeys, true); err != nil {
				return err
			}
		case key == "series_settings":
			if err := checkNested(path, settings[key], seriesKeys, false); err != nil {
				return err
			}
		case key == "table.columns":
			if err := strict(text(settings[key]), typeOf([]tableColumn{}), path, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// tableColumn is one of table.columns.
type tableColumn struct {
	Name    string `json:"name" need:"always"`
	Enabled bool   `json:"enabled" need:"always"`
}

// checkNested checks settings by column, or by series.
func checkNested(at string, value any, known map[string]bool, columns bool) error {
	all, ok := value.(map[string]any)
	if !ok {
		return wrong(at, "is no object")
	}
	for _, name := range sortedKeys(all) {
		if _, ok := columnName(name); columns && !ok {
			return wrong(at, `%s is no column: a key reads ["name","…"]`, name)
		}
		settings, ok := all[name].(map[string]any)
		if !ok {
			return wrong(at+"."+name, "is no object")
		}
		for _, key := range sortedKeys(settings) {
			if !known[key] {
				return wrong(at+"."+name+"."+key, "no such setting")
			}
		}
	}
	return nil
}

// columnName reads a key of column_settings such as ["name","n"].
func columnName(key string) (name string, ok bool) {
	var parts []string
	if json.Unmarshal([]byte(key), &parts) != nil || len(parts) != 2 || parts[0] != "name" {
		return "", false
	}
	return parts[1], true
}

// columnsNamed gives the columns of the result that settings name.
func columnsNamed(settings map[string]any) []string {
	var names []string
	for _, key := range []string{
		"graph.dimensions", "graph.metrics", "graph.tooltip_columns", "pie.dimension", "pie.metric",
		"funnel.dimension", "funnel.metric", "scalar.field", "progress.value", "scatter.bubble", "map.dimension", "map.metric",
		"map.latitude_column", "map.longitude_column", "map.metric_column", "table.pivot_column", "table.cell_column",
		"sankey.source", "sankey.target", "sankey.value",
	} {
		names = append(names, texts(settings[key])...)
	}
	for _, entry := range list(settings["table.columns"]) {
		column, _ := entry.(map[string]any)
		names = append(names, texts(column["name"])...)
	}
	for _, entry := range list(settings["table.column_formatting"]) {
		rule, _ := entry.(map[string]any)
		names = append(names, texts(rule["columns"])...)
	}
	columns, _ := settings["column_settings"].(map[string]any)
	for _, key := range sortedKeys(columns) {
		name, _ := columnName(key)
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func list(value any) []any {
	all, _ := value.([]any)
	return all
}

// texts gives a text, or the texts of a list.
func texts(value any) []string {
	if one, ok := value.(string); ok {
		return []string{one}
	}
	var all []string
	for _, entry := range list(value) {
		if one, ok := entry.(string); ok {
			all = append(all, one)
		}
	}
	return all
}
