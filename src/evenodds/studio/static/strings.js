// Every word of the page. A translation has the same keys: strings.zh.js is one.

import { zh } from "./strings.zh.js";

export const en = {
  language: "Language", theme: "Theme", theme_auto: "As the system", theme_light: "Light", theme_dark: "Dark",
  skip: "Skip to content", runs: "Runs", new_run: "New run", api: "API", main_menu: "Main menu",
  loading: "Loading …", lost: "The studio does not answer. Is it still running?",
  no_token: "This page needs the address that the studio printed, with its token. Open that one.",
  no_runs: "No runs in this folder yet.", no_runs_next: "Start one here, or in a terminal with “evenodds train”; it shows up by itself.",
  in_folder: "Runs in {base}", state_playing: "training", state_working: "at work", state_finished: "finished",
  state_stopped: "stopped", starting: "starting", failed: "ended", noun_images: "images", noun_rows: "rows", noun_points: "points", noun_items: "items", shown_of: "{done} of {total} {items}",
  per_second: "{n} {items}/s", left: "{time} left", score: "score", best_score: "best {n}", no_verdict: "no verdict yet", never_judged: "no verdict was given",
  score_curve: "The score of {run} over time; lower is better", samples_of: "Samples of {run} at {n} {items}",
  no_samples: "no samples", said_last: "It said: {line}",
  tab_overview: "Overview", tab_play: "Play", tab_tools: "Tools", tab_settings: "Settings", tab_report: "Judge", views: "Views of this run",
  stop: "Stop", stop_why: "Ends the run after its round, as Ctrl-C does. It can go on later.", resume: "Go on", discard: "Delete …",
  discard_ask: "Move {run} to the bin?", discard_again: "Are you sure? It goes to the folder .trash beside the runs.",
  discard_yes: "Yes, move it", discard_sure: "Yes, I am sure", cancel: "Cancel",
  evaluate: "Make the report", evaluate_why: "Judges the run on data that it never saw.", report_none: "There is no report yet.",
  report_of: "Report of {run}", working_on: "At work: {line}", open_alone: "Open in a tab of its own",
  verdicts: "How it goes", verdict_at: "at {n} {items}", remedy: "remedy", remedies: "Remedies", checkpoints: "Checkpoints", best: "best",
  interval: "95 % interval", none_yet: "None yet.",
  said: "What it said", curves: "Curves", log: "Logarithmic", with_run: "Compared with", nobody: "no other run",
  zoom_help: "Drag across a chart to zoom in; a double click shows all again.", chart_of: "{name}: last value {value}",
  group_score: "Score on held-out data (lower is better)", group_speed: "Speed, in {items} per second", group_other: "Watched figures; where D prefers neither: 1/2",
  term_score_low: "lower end of its 95 % interval", term_score_high: "upper end of its 95 % interval",
  term_spread: "variety of samples, 1 as in the data", term_distance: "distance of samples from held-out data",
  term_apart: "distance between samples, 1 as in the data", term_d_fake: "D prefers held-out {items} to samples",
  term_d_memory: "D prefers training to held-out {items}", term_real: "D’s probability that real {items} are real", term_fake: "D’s probability that samples are real",
  samples_time: "Samples over time", after_shown: "After {n} {items}", moment: "Moment",
  data: "Data", items: "{n} items of {shape}", numbers: "{n} numbers", trained_on: "trained on {n}", classes: "Classes", found: "What was found in the data",
  setting: "Setting", value: "Value", meaning: "Meaning",
  no_draws: "This run draws no samples. See its tools for what it does.",
  seed: "Seed", previous: "Previous seed", next: "Next seed", how_many: "Samples", class: "Class", any_class: "as they occur",
  truncation: "Truncation", truncation_why: "Lower is truer to the data, and more alike.", grid_of: "{n} samples of seed {seed}",
  distributions: "The distributions of 2,048 {items}, column by column", rows_of: "{n} {items} of seed {seed}", pick_help: "Click a sample, or move with the arrow keys, to take it apart below.", download: "Download", frozen: "Attribute or value",
  as_given: "Ask for these values", one_sample: "One sample", start_point: "From", end_point: "To", point_why: "Seed and number of a sample, as in 7:3.",
  blend: "Blend", walk: "Play the walk", pause: "Pause", directions: "Directions", direction: "Direction {n}", reset: "Reset",
  directions_why: "The directions of z along which samples change most; they are found at the first move of a slider.",
  sample_at: "Sample {share} of the way from {start} to {end}", use_as_from: "Use as “From”", use_as_to: "Use as “To”",
  pin: "Pin", pins: "Pinned", pin_name: "Name of the pin", unpin: "Remove {name}", chosen: "Chosen: {point}", which: "Checkpoint", last: "last",
  fills_tables: "This run fills the empty cells of tables. In a terminal:", no_tools: "There are no tools for this run: it draws samples. See Play.", drop: "Drop a picture here, or choose one", drop_limit: "PNG, JPEG, WebP, TIFF and more; at most 64 MiB and 24 million pixels.",
  sending: "Sending …", at_work: "At work …", before: "before", after: "after", divider: "Divider between before and after", actual_size: "Actual size (1:1)",
  way_back: "The way back: images like the sources, of images like the targets",
  result_of: "The picture before, and after {command}", legend: "Legend",
  paint_help: "Paint what is to be filled in. With the keyboard: arrow keys move the brush, the space bar paints.", brush: "Brush size", eraser: "Eraser", undo: "Undo", clear: "Clear",
  fill: "Fill in", fillings: "Fillings", filling: "Filling {n}", mask_area: "The picture, with the painted mask", another: "Another seed",
  classify: "The class of a picture", more_classes: "and {n} more classes",
  nothing_painted: "Nothing is painted yet: paint what is to be filled in.",
  reconstruct: "Encode a picture", reconstruct_why: "Finds the z of a picture, and shows what the run makes of it.", its_answer: "What the run makes of it", your_picture: "Your picture", differs: "Root mean squared difference {n}",
  where_data: "Data", data_path: "Folder or file", look: "Look", above: "Up one folder", built_in: "or data that come with evenodds", none: "none",
  pictures_here: "{n} pictures, {others} other files", no_pictures: "No pictures or arrays here. Open a folder that has some.", thumbnail: "Picture {n}", page_of: "{page} of {pages}", earlier: "Earlier", later: "Later",
  check: "Read it all and check", check_why: "Reads every file and says what is skipped, and why.", checking: "Reading: {done} of {of}", checked: "Read: {n} items of {shape}.",
  recipe: "Recipe", suggested: "Suggested: {recipe}, {reason}", budget: "Time budget", budget_why: "As in 10m or 1h30m; the length of the run is planned from a measured rate. Empty: the recipe’s length.",
  main_settings: "Settings that matter", more_settings: "More settings ({n})", other_settings: "Options of parts, as for --set: one key=value a line", as_recipe: "recipe: {value}", start_run: "Start the run",
  encoder_none: "This run has no encoder yet. It is learned once from the run’s own samples, in minutes.", encoder_learn: "Learn the encoder",
  too_large: "There are very many files below this folder; open one inside it.",
  truth: "Against the truth", truth_why: "Drop the true picture, or the true map of labels, to score the result.",
  whole_folder: "A whole folder or file", begin: "Begin", files_so_far: "files so far: {n}", compare_reports: "Scores beside those of another run",
  scores: "Scores", floor: "Real against real", better: "Better is", better_lower: "lower", better_higher: "higher", better_middle: "the middle",
  floor_why: "“Real against real” is the same score of further real items: what a perfect generator would get.", copies: "Suspected copies",
  copies_share: "{share} of the samples ({low} – {high}) are suspected; of new real items {expected} would be.", copies_listed: "The closest {n}",
  sample: "Sample", training_item: "Training item", nearness: "Nearness",
  compare_why: "Both need a report that was made in the same way: the same real items, features and number of samples.", ahead: "Better",
  no_difference: "no clear difference", resembling: "Samples beside training images",
  resembling_why: "Each sample, and the training image nearest to it. A generator that has learned by heart hands out its training images.",
  resembling_show: "Show them", order: "Order", order_closest: "most suspected first", order_drawn: "as they are drawn",
  sample_number: "Sample {n} of seed {seed}", nearest_of: "The training image nearest to sample {n}: {name}", suspected: "suspected copy",
  copies_yes: "There are copies of training images.", copies_no: "No sign of copies.",
  copies_judged: "Of {n} samples, {share} are suspected; by chance it would be {expected} at most.",
  nearness_why: "Nearness is the distance to the nearest training image over that to the nearest held-out image, in {features} features: about 1 is honest, 0 a copy. Looked at: {among} of {of} training images. The report looks at all of them, in better features where it can.",
  trials: "Does it help a classifier?",
  trials_why: "A trial tests whether synthetic images or rows help a classifier on your data, on folds that the generator never saw.",
  trials_none: "No trial was made yet. In a terminal: evenodds trial --data FOLDER", recommended: "Recommended: {what}.",
  trial_of: "{classifier}; {n} training {items} in {classes} classes, {tested} to test on, {seeds} seeds",
  trial_arms: "The ways that were compared in {name}", arm: "Way", against_real: "macro-F1 against real only",
  trial_picture: "The differences in macro-F1 with their intervals, of {name}", report_whole: "The whole report", browse: "Browse",
  whole_why: "All pictures of a folder or archive on this machine, as a process of its own.",
  whole_fill_why: "All pictures of a folder or archive on this machine, by the mask that you painted above, or by masks of your own.",
  whole_classify_why: "The class of all pictures of a folder or archive, or of all rows of a table, on this machine, as a process of its own. The ZIP file holds a table, classes.csv.",
  masks_path: "Mask, or folder of masks with the pictures’ names", masks_or_painted: "Folder of masks; empty: the painted one for all",
  fillings_each: "Fillings of each", progress_of: "Progress of {name}", stop_work: "Stop {name}", zip_of: "The results of {name} as a ZIP file",
  data_brought: "{name}, which the recipe brings", data_none: "none chosen yet",
  choose_data: "Open the folder or file that is to be learned from.", first_rows: "The first rows", label_column: "Column with the class", seek: "Find", seek_as: "name, recipe, state …", runs_found: "{n} of {of} runs", more_runs: "Show more ({n})",
  api_title: "HTTP API", api_why: "Everything that this page does goes through these endpoints. Send the token as “Authorization: Bearer TOKEN”.", parameters: "Parameters",
  trouble: "Its configuration cannot be read: {line}", second: "s", minute: "min", hour: "h", day: "d",
};

const languages = { en, zh };
let current = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");

export const language = () => (current in languages ? current : "en");

export function setLanguage(name) {
  current = name;
  localStorage.setItem("language", name);
}

export function t(key, values = {}) {
  const text = languages[language()][key] ?? en[key];
  if (text === undefined) throw new Error(`no string '${key}'`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}
