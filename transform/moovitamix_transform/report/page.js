// The charts. Their colours are CSS variables, so a change between light and dark needs no script.
for (const place of document.querySelectorAll("[data-chart]")) {
  const chart = JSON.parse(document.getElementById(`chart-${place.dataset.chart}`).textContent);
  vegaEmbed(place, chart, { actions: false, renderer: "svg" }).catch((error) => {
    place.textContent = "The chart could not be drawn; the table has its figures.";
    console.error(error);
  });
}
